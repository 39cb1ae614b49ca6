// A server for the tests: the one that RILL_TEST_CONNINFO names. Shared by all cases of the suite "server", so each
// uses streams of its own names, and application names of its own to find its sessions by.
#pragma once

#include "rill/rill.hpp"

#include <functional>
#include <string>
#include <vector>

struct pg_conn;

namespace rill::test {

// True where tests that need a server are skipped.
[[nodiscard]] bool no_server();

[[nodiscard]] std::string conninfo();
// The same with more keywords.
[[nodiscard]] std::string conninfo(const std::string &more);
// A name that no other test uses.
[[nodiscard]] std::string unique(const std::string &what);
// Options of a client that reconnects quickly, with application names of its own.
[[nodiscard]] Options fast_reconnect(const std::string &name);

// A plain session, to change and to observe the server. Fails the test when a statement fails.
class Admin {
public:
    explicit Admin(const std::string &conninfo_string = conninfo());
    Admin(const Admin &) = delete;
    Admin &operator=(const Admin &) = delete;
    ~Admin();

    // Runs a statement and returns the first column of the first row, if there is one.
    std::string operator()(const std::string &sql);
    // The extension's, quoted and with its dot.
    [[nodiscard]] const std::string &schema() const { return schema_; }

    // Terminates the sessions with this application name; returns how many there were.
    int terminate(const std::string &application_name);
    [[nodiscard]] bool connected(const std::string &application_name);

    void create(const std::string &stream);
    // Blocks until exactly so many sessions wait in the server for the stream, which must exist.
    [[nodiscard]] bool waited_for(const std::string &stream, int sessions = 1);

private:
    pg_conn *conn_;
    std::string schema_;
};

// The next chunk, failing the test if it does not come within a minute.
[[nodiscard]] Chunk next_chunk(Reader &reader);
// Reads numbers that were appended as chunks: `from` to `to`, without a gap, a repeat or a swap.
void expect_numbers(Reader &reader, int from, int to);
// The data of all chunks up to the end of the stream, joined.
[[nodiscard]] std::string read_all(Reader &reader);
// The SQLSTATE of the rill::Error that this throws; "none" if it throws none.
[[nodiscard]] std::string sqlstate_of(const std::function<void()> &action);

// Collects the events of on_event. Shared with the callback.
class Events {
public:
    Events();
    [[nodiscard]] std::function<void(const Event &)> callback() const;
    [[nodiscard]] std::vector<Event> all() const;
    [[nodiscard]] std::size_t count(Event::Kind kind, Event::Channel channel) const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace rill::test
