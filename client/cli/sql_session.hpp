// A plain session, for what librill has no call for: one statement after the other, results as text.
//
// Situations it must survive: the extension in any schema; a SQL_ASCII database, whose names need not be UTF-8; Ctrl-C
// during a long statement, which is then cancelled in the server, too; a server that is gone (TCP's own timeouts, set
// as librill sets them, end the wait).
// Thread-safety: one thread at a time; cancel() from any.
#pragma once

#include "connection.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <libpq-fe.h>

namespace rill::cli {

// The rows of an answer. Columns are named, since the server's views may have more of them than this program knows.
class Rows {
public:
    explicit Rows(PGresult *result) : result_(result, &PQclear) {}

    [[nodiscard]] int size() const noexcept { return PQntuples(result_.get()); }
    // nullopt for a null, and for a column that is not there.
    [[nodiscard]] std::optional<std::string> text(int row, const char *column) const;
    [[nodiscard]] std::optional<std::int64_t> number(int row, const char *column) const;
    [[nodiscard]] bool truth(int row, const char *column) const;

private:
    std::unique_ptr<PGresult, decltype(&PQclear)> result_;
};

class SqlSession {
public:
    // Connects and finds the extension. Throws Error.
    explicit SqlSession(const ConnectionOptions &options);
    SqlSession(const SqlSession &) = delete;
    SqlSession &operator=(const SqlSession &) = delete;
    ~SqlSession();

    // Runs one statement; {} in it stands for the extension's quoted schema and a dot. A parameter without a value is
    // null. Throws Error; Error with SQLSTATE 57014 when cancelled.
    Rows run(std::string_view sql, const std::vector<std::optional<std::string>> &parameters = {});

    // Quoted, with its dot.
    [[nodiscard]] const std::string &schema() const noexcept { return schema_; }

    // The statement that runs now, if any, fails. Also allowed in a thread that handles a signal.
    void cancel() noexcept;

    [[nodiscard]] PGconn *connection() const noexcept { return connection_.get(); }

private:
    [[nodiscard]] Rows run_qualified(const std::string &sql, const std::vector<std::optional<std::string>> &parameters);

    std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
    std::unique_ptr<PGcancel, decltype(&PQfreeCancel)> cancel_;
    std::string schema_;
};

// A session that Ctrl-C and SIGTERM interrupt. Make it before any thread.
class InterruptibleSqlSession : public SqlSession {
public:
    explicit InterruptibleSqlSession(const ConnectionOptions &options);
    ~InterruptibleSqlSession();
};

// The list of a text[] parameter.
[[nodiscard]] std::string array_literal(const std::vector<std::string> &values);

}  // namespace rill::cli
