// rill: pg_rill's streams from the command line, with the habits of psql, tail and cat.
//
// Exit code: 0, 1 on failure with one line on standard error, 2 on wrong usage, 128 and the signal's number when a
// signal ends it. -h is the host, as for psql; help is --help or -?. Situations it must survive: an output that nobody
// reads (quiet), standard input, output or error that is closed, an exception of any kind (one line).
#include "command_line.hpp"
#include "interrupt.hpp"
#include "messages.hpp"
#include "output.hpp"
#include "rill/error.hpp"
#include "standard_files.hpp"

#include <exception>

namespace rill::cli {
namespace {

int run(int argc, char **argv) {
    try {
        CommandLine line;
        return line.run(argc, argv);
    } catch (const BrokenPipe &) {
        return 1;
    } catch (const UsageError &error) {
        print_error(error.what());
        return 2;
    } catch (const Error &error) {
        if (interrupted() == 0)
            print_error(message_of(error));
    } catch (const std::exception &error) {
        print_error(error.what());
    }
    return 1;
}

}  // namespace
}  // namespace rill::cli

int main(int argc, char **argv) {
    rill::cli::occupy_standard_files();
    const int code = rill::cli::run(argc, argv);
    return rill::cli::interrupted() != 0 ? 128 + rill::cli::interrupted() : code;
}
