// rill close: ends a stream.
#include "commands.hpp"

namespace rill::cli {

int close(const ConnectionOptions &connection, const std::string &stream) {
    connect(connection).close_stream(stream);
    return 0;
}

}  // namespace rill::cli
