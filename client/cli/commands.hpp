// The commands of `rill`. Each returns the exit code, or throws what main() prints as one line before it exits with 1.
#pragma once

#include "connection.hpp"
#include "from.hpp"
#include "output.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace rill::cli {

struct AppendOptions {
    std::string stream;
    std::vector<std::string> files;
    std::size_t size = 0;
    bool close = false;
};

struct TailOptions {
    std::vector<std::string> streams;
    From from;
    bool follow = false;
    bool quiet = false;
    bool json = false;
};

int append(const ConnectionOptions &connection, const AppendOptions &options);
int tail(const ConnectionOptions &connection, const TailOptions &options);
int close(const ConnectionOptions &connection, const std::string &stream);
int list(const ConnectionOptions &connection, bool json);
int info(const ConnectionOptions &connection, const std::string &stream, bool json);

}  // namespace rill::cli
