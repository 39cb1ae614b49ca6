// rill: pg_rill's streams from the command line, with the habits of psql, tail and cat.
//
// Exit code: 0, 1 on failure with one line on standard error, 2 on wrong usage. -h is the host, as for psql; help is
// --help or -?. Situations it must survive: an output that nobody reads (quiet), an exception of any kind (one line).
#include "commands.hpp"

#include "output.hpp"
#include "rill/error.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

namespace rill::cli {

namespace {

constexpr const char *kFooter = R"(Examples:
  make 2>&1 | rill append build-42 --close     each line is a chunk, sent as it comes
  rill tail -f build-42                        the last 10 chunks, then new ones until it ends
  rill tail --from id:100 --json build-42      chunks after 100, for a program
  rill ls

Connection options that are left out come from PGHOST, PGPORT, PGUSER,
PGDATABASE, PGSERVICE, the password file and so on, as for psql.)";

// CLI11 takes a positional argument in brackets for a list: "[a,b]" would be two names. A mark in front prevents that.
constexpr char kMark = '\1';

std::vector<std::string> marked(int argc, char **argv) {
    std::vector<std::string> arguments;  // the last one first, as CLI11 expects them
    for (int i = argc - 1; i > 0; --i) {
        std::string argument = argv[i];
        if (argument.starts_with('[') || argument.starts_with(kMark))
            argument.insert(argument.begin(), kMark);
        arguments.push_back(std::move(argument));
    }
    return arguments;
}

void unmark(std::string &argument) {
    if (argument.starts_with(kMark))
        argument.erase(0, 1);
}

int run(int argc, char **argv) {
    CLI::App app("Append to streams kept by the PostgreSQL extension pg_rill, and follow them.", "rill");
    app.set_help_flag("-?,--help", "show this help, or a command's");
    app.set_version_flag("-V,--version", "rill (pg_rill) " RILL_VERSION, "print the version");
    app.footer(kFooter);
    app.require_subcommand(0, 1);

    ConnectionOptions connection;
    bool no_password = false;
    const std::string group = "Connection options";
    app.add_option("-h,--host", connection.host, "database server host or socket directory")->group(group);
    app.add_option("-p,--port", connection.port, "database server port")->group(group);
    app.add_option("-U,--username", connection.user, "database user name")->group(group);
    app.add_option("-d,--dbname", connection.database, "database name, connection string or URI")->group(group);
    app.add_flag("-w,--no-password", no_password, "never prompt for a password (it never does)")->group(group);

    // Connection options may stand before or after the command's name.
    const auto command = [&app](const char *name, const char *description) {
        CLI::App *const sub = app.add_subcommand(name, description);
        sub->fallthrough();
        return sub;
    };

    AppendOptions append_options;
    CLI::App *const append_command = command("append", "append files or standard input to a stream");
    append_command
        ->add_option("STREAM", append_options.stream, "name of the stream; it is created if it does not exist")
        ->required();
    append_command->add_option("FILE", append_options.files, "files; standard input if there are none, or -");
    append_command->add_option("--size", append_options.size, "cut into chunks of this many bytes instead of lines")
        ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 28));
    append_command->add_flag("--close", append_options.close, "close the stream at the end of the input");

    TailOptions tail_options;
    std::string from = "last:10";
    CLI::App *const tail_command = command("tail", "print the chunks of streams");
    tail_command->add_option("STREAM", tail_options.streams, "names of streams")->required();
    tail_command->add_flag("-f,--follow", tail_options.follow, "continue until every stream has ended");
    tail_command->add_option("--from", from, "start, now, last:N, id:N (chunks after N), or a time (default: last:10)")
        ->check([](const std::string &text) {
            return parse_from(text) ? "" : "must be start, now, last:N, id:N or a time";
        })
        ->type_name("WHERE");
    tail_command->add_flag("-q,--quiet", tail_options.quiet, "print no headers for several streams");
    tail_command->add_flag("--json", tail_options.json, "print one JSON object a line");

    std::string stream;
    CLI::App *const close_command = command("close", "end a stream; nothing can be appended to it afterwards");
    close_command->add_option("STREAM", stream, "name of the stream")->required();

    bool json = false;
    CLI::App *const list_command = command("ls", "list the streams");
    list_command->add_flag("--json", json, "print one JSON object a line");

    CLI::App *const info_command = command("info", "describe a stream");
    info_command->add_option("STREAM", stream, "name of the stream")->required();
    info_command->add_flag("--json", json, "print a JSON object");

    if (argc < 2) {
        std::fputs(app.help().c_str(), stderr);
        return 2;
    }
    try {
        app.parse(marked(argc, argv));
    } catch (const CLI::Success &success) {
        return app.exit(success);  // --help, --version
    } catch (const CLI::ParseError &error) {
        print_error(std::string(error.what()) + " (see rill --help)");
        return 2;
    }
    for (std::string *const argument : {&connection.host, &connection.port, &connection.user, &connection.database,
                                        &append_options.stream, &from, &stream})
        unmark(*argument);
    for (auto *const list : {&append_options.files, &tail_options.streams})
        std::ranges::for_each(*list, unmark);
    if (append_command->parsed())
        return append(connection, append_options);
    if (tail_command->parsed()) {
        tail_options.from = *parse_from(from);
        return tail(connection, tail_options);
    }
    if (close_command->parsed())
        return close(connection, stream);
    if (list_command->parsed())
        return list(connection, json);
    if (info_command->parsed())
        return info(connection, stream, json);
    print_error("no command given (see rill --help)");
    return 2;
}

}  // namespace
}  // namespace rill::cli

int main(int argc, char **argv) {
    try {
        return rill::cli::run(argc, argv);
    } catch (const rill::cli::BrokenPipe &) {
        return 1;
    } catch (const rill::Error &error) {
        std::string message = error.what();
        if (!error.hint().empty())
            message += " (" + error.hint() + ")";
        rill::cli::print_error(message);
    } catch (const std::exception &error) {
        rill::cli::print_error(error.what());
    }
    return 1;
}
