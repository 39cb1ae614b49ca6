// See pq.hpp.
#include "pq.hpp"

#include "message_text.hpp"

#include <charconv>
#include <new>
#include <system_error>

#include <sys/socket.h>

namespace rill::detail {
namespace {

std::string field(const PGresult *result, int code) {
    const char *const value = PQresultErrorField(result, code);
    return value == nullptr ? std::string() : one_line(value);
}

std::uint64_t big_endian(std::string_view bytes) {
    std::uint64_t value = 0;
    for (const char c : bytes)
        value = value << 8 | static_cast<unsigned char>(c);
    return value;
}

[[noreturn]] void throw_wrong_width() {
    throw unexpected_answer("a column has a type that this version of librill does not know");
}

}  // namespace

std::optional<std::int64_t> last_number(std::string_view text) noexcept {
    constexpr std::string_view kDigits = "0123456789";
    const auto last = text.find_last_of(kDigits);
    if (last == std::string_view::npos)
        return std::nullopt;
    const auto before = text.find_last_not_of(kDigits, last);
    const auto digits = text.substr(before + 1, last - before);  // npos + 1 is 0
    std::int64_t number = 0;
    if (std::from_chars(digits.data(), digits.data() + digits.size(), number).ec != std::errc())
        return std::nullopt;
    return number;
}

bool is_transient(std::string_view sqlstate) noexcept {
    // Serialization and deadlock; shutdown, crash and start-up; resources; lock and statement timeouts.
    return sqlstate.starts_with("40") || sqlstate.starts_with("53") || sqlstate == "57P01" || sqlstate == "57P02" ||
           sqlstate == "57P03" || sqlstate == "55P03" || sqlstate == "57014";
}

Error unexpected_answer(const char *what) {
    return {std::string("unexpected answer from the server: ") + what, {.sqlstate = "08P01"}};
}

bool Result::ok() const noexcept {
    const auto status = PQresultStatus(result_.get());
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

std::int32_t Result::int4(int row, int column) const {
    const auto bytes = text(row, column);
    if (bytes.size() != 4)
        throw_wrong_width();
    return static_cast<std::int32_t>(big_endian(bytes));
}

std::int64_t Result::int8(int row, int column) const {
    const auto bytes = text(row, column);
    if (bytes.size() != 8)
        throw_wrong_width();
    return static_cast<std::int64_t>(big_endian(bytes));
}

Result::Interval Result::interval(int row, int column) const {
    const auto bytes = text(row, column);
    if (bytes.size() != 16)
        throw_wrong_width();
    return {static_cast<std::int64_t>(big_endian(bytes.substr(0, 8))),
            static_cast<std::int32_t>(big_endian(bytes.substr(8, 4))),
            static_cast<std::int32_t>(big_endian(bytes.substr(12, 4)))};
}

const Result &Result::one_row() const & {
    if (rows() != 1)
        throw unexpected_answer("not one row");
    return *this;
}

std::string Result::sqlstate() const { return field(result_.get(), PG_DIAG_SQLSTATE); }

Error Result::error(bool connection_lost) const {
    std::string message = field(result_.get(), PG_DIAG_MESSAGE_PRIMARY);
    if (message.empty())  // libpq made the error, not the server
        message = joined_lines(PQresultErrorMessage(result_.get()));
    Error::Facts facts{.sqlstate = sqlstate(),
                       .detail = field(result_.get(), PG_DIAG_MESSAGE_DETAIL),
                       .hint = field(result_.get(), PG_DIAG_MESSAGE_HINT),
                       .connection_lost = connection_lost,
                       .retryable = false};
    facts.retryable = is_transient(facts.sqlstate);
    // pg_rill's DETAIL ends with the number that a program needs.
    if (facts.sqlstate == "RL001" || facts.sqlstate == "RL004")
        facts.chunk_id = last_number(facts.detail);
    else if (facts.sqlstate == "RL005")
        facts.producer_epoch = last_number(facts.detail);
    else if (facts.sqlstate == "RL006")
        facts.next_seq = last_number(facts.detail);
    return {message, std::move(facts)};
}

Connection Connection::start(const Conninfo::Parameters &parameters) {
    std::vector<const char *> keywords;
    std::vector<const char *> values;
    for (const auto &[keyword, value] : parameters) {
        keywords.push_back(keyword.c_str());
        values.push_back(value.c_str());
    }
    keywords.push_back(nullptr);
    values.push_back(nullptr);
    Connection connection;
    connection.guard_ = std::make_unique<ForkGuard>();
    connection.conn_.reset(PQconnectStartParams(keywords.data(), values.data(), 0));
    if (connection.conn_ == nullptr)
        throw std::bad_alloc();
    connection.guard_->note(connection.socket());
    connection.fatal_notice_ = std::make_unique<FatalNotice>();
    const auto receive = [](void *arg, const PGresult *notice) noexcept {
        const std::string_view severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED) == nullptr
                                              ? ""
                                              : PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
        if (severity != "FATAL" && severity != "PANIC")
            return;
        try {
            *static_cast<FatalNotice *>(arg) = {field(notice, PG_DIAG_MESSAGE_PRIMARY),
                                                field(notice, PG_DIAG_SQLSTATE)};
        } catch (const std::bad_alloc &) {  // then libpq's own message has to do
        }
    };
    PQsetNoticeReceiver(connection.conn_.get(), receive, connection.fatal_notice_.get());
    return connection;
}

bool Connection::consume() noexcept {
    if (PQconsumeInput(conn_.get()) != 1)
        return false;
    // Of an encrypted record libpq takes what it has room for, at least 8 kB, and leaves the rest where poll(2) does
    // not see it. A record has at most 16 kB.
    if (PQsslInUse(conn_.get()) != 0 || PQgssEncInUse(conn_.get()) != 0)
        for (int again = 0; again < 2; ++again)
            if (PQconsumeInput(conn_.get()) != 1)
                return false;
    return true;
}

Host Connection::host() const {
    const auto text = [](const char *value) { return std::string(value == nullptr ? "" : value); };
    return {text(PQhost(conn_.get())), text(PQhostaddr(conn_.get())), text(PQport(conn_.get()))};
}

Error Connection::loss() {
    (void) busy();  // parses what was read before the end
    if (!fatal_notice_->message.empty())
        return {fatal_notice_->message,
                {.sqlstate = fatal_notice_->sqlstate, .connection_lost = true, .retryable = false}};
    return {message(), {.connection_lost = true}};
}

std::string Connection::message() const {
    std::string message = joined_lines(PQerrorMessage(conn_.get()));
    return message.empty() ? "the connection was lost" : message;
}

std::string Connection::quoted(std::string_view identifier) const {
    const std::unique_ptr<char, decltype(&PQfreemem)> text(
        PQescapeIdentifier(conn_.get(), identifier.data(), identifier.size()), &PQfreemem);
    if (text == nullptr)
        throw Error(message());
    return text.get();
}

void FinishConnection::operator()(PGconn *conn) const noexcept {
    if (cut)
        (void) ::shutdown(PQsocket(conn), SHUT_RDWR);
    PQfinish(conn);
}

bool Connection::send(const std::string &sql, const Params &params, bool binary) noexcept {
    conn_.get_deleter().cut = true;  // until flush() finds that all is sent
    return PQsendQueryParams(conn_.get(), sql.c_str(), params.count(), params.types(), params.values(),
                             params.lengths(), params.formats(), binary ? 1 : 0) == 1;
}

bool Connection::send_in_pipeline(const std::string &sql, const Params &params, bool binary) noexcept {
    return PQenterPipelineMode(conn_.get()) == 1 && send(sql, params, binary) && PQpipelineSync(conn_.get()) == 1;
}

std::optional<Notification> Connection::notification() {
    const std::unique_ptr<PGnotify, decltype(&PQfreemem)> notify(PQnotifies(conn_.get()), &PQfreemem);
    if (notify == nullptr)
        return std::nullopt;
    return Notification{notify->relname, notify->extra};
}

}  // namespace rill::detail
