// Shared by the modes of the benchmark's driver: one libpq connection, parameters, a clock, and output as JSON.
//
// The driver measures what Python or pgbench cannot measure precisely enough; the scripts start it and read one line of
// JSON from it. It must survive: a server that refuses something. It then reports the request and the server's answer
// and exits with status 1, so that no figure comes from a failed call.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Finish {
    void operator()(PGconn *connection) const { PQfinish(connection); }
    void operator()(PGresult *result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, Finish>;

/// The connection string for readers: BENCH_READER, or empty for the PG* variables.
const char *reader_conninfo();

/// Connects with the PG* variables of the environment. Everything throws std::runtime_error on failure.
class Session {
public:
    explicit Session(const char *conninfo = "");

    void run(const char *sql);
    void prepare(const char *name, const char *sql);
    /// Parameters as text, results binary, as librill asks for them.
    Result execute(const char *name, std::span<const std::string> parameters);
    /// The same without waiting for the result.
    void send(const char *name, std::span<const std::string> parameters);
    /// The next result of send(); null if there is none left.
    Result receive();

    [[nodiscard]] PGconn *raw() const { return connection_.get(); }

private:
    [[noreturn]] void fail(const std::string &what) const;
    Result check(Result result, const char *what) const;

    std::unique_ptr<PGconn, Finish> connection_;
};

/// A column of a binary result.
std::int64_t int64_at(const PGresult *result, int row, int column);
std::string_view bytes_at(const PGresult *result, int row, int column);

/// The payload of chunk `number`: its number, padded to `size` bytes with incompressible data.
std::string payload(std::uint64_t number, std::size_t size);
/// The number in such a payload.
std::uint64_t number_of(std::string_view payload);

using Arguments = std::vector<std::string>;

// The modes: one file each.
int calls(const Arguments &arguments);
int catchup(const Arguments &arguments);
int followed(const Arguments &arguments);
int get(const Arguments &arguments);
int latency(const Arguments &arguments);
int load(const Arguments &arguments);
int readers(const Arguments &arguments);

}  // namespace bench
