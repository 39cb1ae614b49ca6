// The connection options, like psql's: -h, -p, -U, and -d, which may be a connection string or URI that the others
// override. What is left out comes from PG* variables, service and password files, through libpq.
#pragma once

#include "rill/client.hpp"

#include <string>

namespace rill::cli {

struct ConnectionOptions {
    std::string host{};
    std::string port{};
    std::string user{};
    std::string database{};
    // A name on the command line is not UTF-8: names are sent and shown as the bytes that they are, unless the user has
    // set client_encoding. A SQL_ASCII database has such names.
    bool raw_names = false;
};

// A connection string for libpq. Throws rill::Error for a malformed --dbname.
[[nodiscard]] std::string conninfo(const ConnectionOptions &options);
// The same with the rights of another role, which this one is a member of. An empty one: this one's own.
[[nodiscard]] std::string conninfo(const ConnectionOptions &options, const std::string &role);

[[nodiscard]] Client connect(const ConnectionOptions &options, Options client_options = {});

}  // namespace rill::cli
