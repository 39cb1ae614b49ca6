// The connection options, as psql has them: -h, -p, -U, and -d, which may be a connection string or URI that the
// others override. Whatever is left out comes from PG* variables, service and password files, through libpq.
#pragma once

#include <string>

namespace rill::cli {

struct ConnectionOptions {
    std::string host;
    std::string port;
    std::string user;
    std::string database;
};

// A connection string for libpq. Throws rill::Error for a malformed --dbname.
[[nodiscard]] std::string conninfo(const ConnectionOptions &options);

}  // namespace rill::cli
