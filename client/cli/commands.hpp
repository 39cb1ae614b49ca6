// The commands of `rill` and their options. Each command returns the exit code, or throws what main() prints as one
// line before it exits with 1.
#pragma once

#include "connection.hpp"
#include "from.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
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

// Limits and times are passed on in the server's notation.
struct CreateOptions {
    std::string stream;
    std::optional<std::string> max_age{};
    std::optional<std::string> max_chunks{};
    std::optional<std::string> max_bytes{};
    std::optional<std::string> delete_after_close{};
    std::optional<std::string> max_idle{};
    std::optional<std::string> expires_at{};
    std::optional<std::string> metadata{};
    bool if_not_exists = false;
};

struct TrimOptions {
    std::string stream;
    From before;
    bool json = false;
};

struct DeleteOptions {
    std::vector<std::string> streams;
    bool if_exists = false;
};

struct ListOptions {
    std::string prefix;
    bool names = false;
    bool count = false;
    bool json = false;
};

struct InfoOptions {
    std::string stream;
    bool count = false;
    bool json = false;
};

struct TopOptions {
    std::string prefix;
    std::string sort = "rate";
    double interval = 1;  // seconds
    bool once = false;
    bool json = false;
};

struct ServeOptions {
    std::string listen = "127.0.0.1";
    std::uint16_t port = 4437;
    std::string tokens;
    std::vector<std::string> origins;
    std::size_t max_body = std::size_t{16} * 1024 * 1024;
    double long_poll = 30;  // seconds
    bool access_log = false;
    bool insecure = false;
};

int append(const ConnectionOptions &connection, const AppendOptions &options);
int tail(const ConnectionOptions &connection, const TailOptions &options);
int create(const ConnectionOptions &connection, const CreateOptions &options);
int close(const ConnectionOptions &connection, const std::string &stream);
int trim(const ConnectionOptions &connection, const TrimOptions &options);
int remove(const ConnectionOptions &connection, const DeleteOptions &options);
int list(const ConnectionOptions &connection, const ListOptions &options);
int info(const ConnectionOptions &connection, const InfoOptions &options);
int top(const ConnectionOptions &connection, const TopOptions &options);
int serve(const ConnectionOptions &connection, const ServeOptions &options);

}  // namespace rill::cli
