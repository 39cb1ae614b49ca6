// See server.hpp.
#include "server.hpp"

#include "support.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <mutex>

#include <libpq-fe.h>
#include <unistd.h>

namespace rill::test {

bool no_server() { return std::getenv("RILL_TEST_CONNINFO") == nullptr; }

namespace {

// The server keeps a worker in a database only while a session there is registered for wake-ups, and takes its time to
// start one again. A session that stays registered for the whole run (but hears nothing) keeps that out of the tests.
void keep_worker(const char *conninfo_string) {
    static PGconn *keeper = nullptr;
    static std::once_flag once;
    std::call_once(once, [conninfo_string] {
        PGconn *const conn = keeper = PQconnectdb(conninfo_string);
        const auto run = [conn](const std::string &sql) {
            const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(conn, sql.c_str()), &PQclear);
            return std::string(PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "");
        };
        const auto schema = run("SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n "
                                "ON n.oid = e.extnamespace WHERE extname = 'pg_rill'");
        run("SELECT " + schema + ".stream_listen()");
        run("UNLISTEN *");
        std::atexit([] { PQfinish(keeper); });
    });
}

}  // namespace

std::string conninfo() {
    const char *const given = std::getenv("RILL_TEST_CONNINFO");
    keep_worker(given);
    return given;
}

std::string conninfo(const std::string &more) { return conninfo() + " " + more; }

std::string unique(const std::string &what) {
    static std::atomic<int> number{0};
    const auto now = std::chrono::system_clock::now().time_since_epoch().count();
    return what + "-" + std::to_string(::getpid()) + "-" + std::to_string(now) + "-" + std::to_string(number++);
}

Admin::Admin(const std::string &conninfo_string) : conn_(PQconnectdb(conninfo_string.c_str())) {
    PQsetNoticeProcessor(
        conn_, [](void *, const char *) {}, nullptr);
    REQUIRE_MESSAGE(PQstatus(conn_) == CONNECTION_OK, PQerrorMessage(conn_));
    schema_ = (*this)("SELECT quote_ident(n.nspname) || '.' FROM pg_extension e JOIN pg_namespace n "
                      "ON n.oid = e.extnamespace WHERE extname = 'pg_rill'");
}

Admin::~Admin() { PQfinish(conn_); }

std::string Admin::operator()(const std::string &sql) {
    const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(conn_, sql.c_str()), &PQclear);
    const auto status = PQresultStatus(result.get());
    REQUIRE_MESSAGE((status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK), sql << ": " << PQerrorMessage(conn_));
    return PQntuples(result.get()) > 0 && PQnfields(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
}

int Admin::terminate(const std::string &application_name) {
    return std::stoi(
        (*this)("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '" +
                application_name + "' AND pid <> pg_backend_pid()"));
}

void Admin::create(const std::string &stream) { (*this)("SELECT " + schema_ + "stream_create('" + stream + "')"); }

bool Admin::waited_for(const std::string &stream, int sessions) {
    const auto count = "SELECT waiters FROM " + schema_ + "stream_status('" + stream + "')";
    return eventually([&] { return (*this)(count) == std::to_string(sessions); });
}

bool Admin::connected(const std::string &application_name) {
    return (*this)("SELECT count(*) FROM pg_stat_activity WHERE application_name = '" + application_name + "'") != "0";
}

Options fast_reconnect(const std::string &name) {
    Options options;
    options.reconnect_min = std::chrono::milliseconds(1);
    options.reconnect_max = std::chrono::milliseconds(20);
    options.application_name = name;
    return options;
}

void expect_numbers(Reader &reader, int from, int to) {
    for (int i = from; i <= to; ++i)
        REQUIRE(next_chunk(reader).text() == std::to_string(i));
}

Chunk next_chunk(Reader &reader) {
    auto chunk = reader.next(std::chrono::minutes(1));
    REQUIRE_MESSAGE(chunk.has_value(), "no chunk of " << reader.stream());
    return *chunk;
}

std::string read_all(Reader &reader) {
    std::string all;
    while (const auto chunk = reader.next(std::chrono::minutes(1)))
        all += chunk->text();
    REQUIRE_MESSAGE(reader.ended(), "the end of " << reader.stream() << " did not come");
    return all;
}

std::string sqlstate_of(const std::function<void()> &action) {
    try {
        action();
    } catch (const Error &error) {
        return error.sqlstate();
    }
    return "none";
}

struct Events::State {
    std::mutex mutex;
    std::vector<Event> events;
};

Events::Events() : state_(std::make_shared<State>()) {}

std::function<void(const Event &)> Events::callback() const {
    return [state = state_](const Event &event) {
        const std::scoped_lock lock(state->mutex);
        state->events.push_back(event);
    };
}

std::vector<Event> Events::all() const {
    const std::scoped_lock lock(state_->mutex);
    return state_->events;
}

std::size_t Events::count(Event::Kind kind, Event::Channel channel) const {
    std::size_t n = 0;
    for (const Event &event : all())
        n += event.kind == kind && event.channel == channel ? 1U : 0U;
    return n;
}

}  // namespace rill::test
