// See sql_session.hpp.
#include "sql_session.hpp"

#include "interrupt.hpp"
#include "message_text.hpp"
#include "rill/error.hpp"

#include <array>
#include <charconv>
#include <utility>

namespace rill::cli {
namespace {

using detail::joined_lines;
using detail::one_line;

std::string field(const PGresult *result, int code) {
    const char *const value = PQresultErrorField(result, code);
    return value == nullptr ? std::string() : one_line(value);
}

// Not by search_path: the extension may be in any schema.
constexpr const char *kFindExtension = "SELECT n.nspname FROM pg_catalog.pg_extension e"
                                       " JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace"
                                       " WHERE e.extname OPERATOR(pg_catalog.=) 'pg_rill'";

// What a session of ours needs unless the user has chosen it: librill's choices.
constexpr std::pair<const char *, const char *> kDefaults[] = {
    {"fallback_application_name", "rill"}, {"connect_timeout", "5"},  {"keepalives_idle", "4"},
    {"keepalives_interval", "2"},          {"keepalives_count", "2"}, {"tcp_user_timeout", "8000"},
};

bool set_by_environment(const PQconninfoOption *defaults, std::string_view keyword) {
    for (const PQconninfoOption *option = defaults; option != nullptr && option->keyword != nullptr; ++option)
        if (option->keyword == keyword)
            return option->val != nullptr && option->val[0] != '\0';
    return false;
}

PGconn *open(const std::string &conninfo) {
    const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> defaults(PQconndefaults(), &PQconninfoFree);
    std::vector<const char *> keywords;
    std::vector<const char *> values;
    for (const auto &[keyword, value] : kDefaults) {
        if (set_by_environment(defaults.get(), keyword))
            continue;
        keywords.push_back(keyword);
        values.push_back(value);
    }
    keywords.push_back("dbname");  // behind them, since what comes later wins
    values.push_back(conninfo.c_str());
    keywords.push_back(nullptr);
    values.push_back(nullptr);
    PGconn *const connection = PQconnectdbParams(keywords.data(), values.data(), 1);
    if (connection == nullptr)
        throw std::bad_alloc();
    return connection;
}

}  // namespace

std::optional<std::string> Rows::text(int row, const char *column) const {
    const int at = PQfnumber(result_.get(), column);
    if (at < 0 || PQgetisnull(result_.get(), row, at) != 0)
        return std::nullopt;
    return std::string(PQgetvalue(result_.get(), row, at));
}

std::optional<std::int64_t> Rows::number(int row, const char *column) const {
    const auto value = text(row, column);
    std::int64_t out = 0;
    if (!value || std::from_chars(value->data(), value->data() + value->size(), out).ec != std::errc{})
        return std::nullopt;
    return out;
}

bool Rows::truth(int row, const char *column) const { return text(row, column) == "t"; }

SqlSession::SqlSession(const ConnectionOptions &options)
    : connection_(open(conninfo(options)), &PQfinish), cancel_(nullptr, &PQfreeCancel) {
    if (PQstatus(connection_.get()) != CONNECTION_OK)
        throw Error(joined_lines(PQerrorMessage(connection_.get())), {.connection_lost = true});
    PQsetNoticeProcessor(
        connection_.get(), [](void *, const char *) {}, nullptr);
    cancel_.reset(PQgetCancel(connection_.get()));
    const auto parameter = [this](const char *name) {
        const char *const value = PQparameterStatus(connection_.get(), name);
        return std::string_view(value == nullptr ? "" : value);
    };
    // Unless the user chose one, the client's encoding is UTF8, or none where the database has none.
    const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> used(PQconninfo(connection_.get()),
                                                                            &PQconninfoFree);
    if (!set_by_environment(used.get(), "client_encoding"))
        (void) PQsetClientEncoding(connection_.get(),
                                   parameter("server_encoding") == "SQL_ASCII" ? "SQL_ASCII" : "UTF8");
    const Rows found = run_qualified(kFindExtension, {});
    if (found.size() != 1)
        throw Error("extension pg_rill is not installed in this database",
                    {.sqlstate = "42704", .hint = "Run CREATE EXTENSION pg_rill in it."});
    const std::string name = found.text(0, "nspname").value_or("");
    const std::unique_ptr<char, decltype(&PQfreemem)> quoted(
        PQescapeIdentifier(connection_.get(), name.data(), name.size()), &PQfreemem);
    if (quoted == nullptr)
        throw Error(joined_lines(PQerrorMessage(connection_.get())));
    schema_ = std::string(quoted.get()) + ".";
}

SqlSession::~SqlSession() = default;

Rows SqlSession::run(std::string_view sql, const std::vector<std::optional<std::string>> &parameters) {
    std::string qualified;
    for (std::size_t at = 0;;) {
        const std::size_t mark = sql.find("{}", at);
        qualified.append(sql.substr(at, mark - at));
        if (mark == std::string_view::npos)
            return run_qualified(qualified, parameters);
        qualified.append(schema_);
        at = mark + 2;
    }
}

Rows SqlSession::run_qualified(const std::string &sql, const std::vector<std::optional<std::string>> &parameters) {
    std::vector<const char *> values;
    values.reserve(parameters.size());
    for (const auto &parameter : parameters)
        values.push_back(parameter ? parameter->c_str() : nullptr);
    PGresult *const result = PQexecParams(connection_.get(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                                          values.data(), nullptr, nullptr, 0);
    Rows rows(result);
    const auto status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return rows;
    std::string message = field(result, PG_DIAG_MESSAGE_PRIMARY);
    if (message.empty())  // libpq made the error, not the server
        message = joined_lines(PQerrorMessage(connection_.get()));
    throw Error(message, {.sqlstate = field(result, PG_DIAG_SQLSTATE),
                          .detail = field(result, PG_DIAG_MESSAGE_DETAIL),
                          .hint = field(result, PG_DIAG_MESSAGE_HINT),
                          .connection_lost = PQstatus(connection_.get()) != CONNECTION_OK});
}

void SqlSession::cancel() noexcept {
    std::array<char, 256> why{};
    if (cancel_ != nullptr)
        (void) PQcancel(cancel_.get(), why.data(), static_cast<int>(why.size()));
}

InterruptibleSqlSession::InterruptibleSqlSession(const ConnectionOptions &options) : SqlSession(options) {
    on_interrupt([this] { cancel(); });
}

InterruptibleSqlSession::~InterruptibleSqlSession() { on_interrupt({}); }

std::string array_literal(const std::vector<std::string> &values) {
    std::string out = "{";
    for (const auto &value : values) {
        if (out.size() > 1)
            out += ',';
        out += '"';
        for (const char c : value) {
            if (c == '"' || c == '\\')
                out += '\\';
            out += c;
        }
        out += '"';
    }
    return out + "}";
}

}  // namespace rill::cli
