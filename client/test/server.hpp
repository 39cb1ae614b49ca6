// A server for the tests: the one that RILL_TEST_CONNINFO names. Shared by all cases of the suite "server", so each
// uses streams of its own names, and application names of its own to find its sessions by.
#pragma once

#include "rill/rill.hpp"

#include <functional>
#include <string>
#include <vector>

struct pg_conn;

namespace rill::test {

// Where the tests that need a server are skipped.
[[nodiscard]] bool no_server();

[[nodiscard]] std::string conninfo();
// Like it, with more keywords.
[[nodiscard]] std::string conninfo(const std::string &more);
// A name no other test uses.
[[nodiscard]] std::string unique(const std::string &what);

// A plain session, for what the library is not asked to do. Fails the test when a statement fails.
class Admin {
public:
    explicit Admin(const std::string &conninfo_string = conninfo());
    Admin(const Admin &) = delete;
    Admin &operator=(const Admin &) = delete;
    ~Admin();

    // The first column of the first row, or nothing.
    std::string operator()(const std::string &sql);
    // Quoted, with its dot.
    [[nodiscard]] const std::string &schema() const { return schema_; }

    // Ends the sessions with this application name; returns how many there were.
    int terminate(const std::string &application_name);
    [[nodiscard]] bool connected(const std::string &application_name);

    void create(const std::string &stream);
    // Until so many sessions wait for the stream (which must be there) in the server.
    [[nodiscard]] bool waited_for(const std::string &stream, int sessions = 1);

private:
    pg_conn *conn_;
    std::string schema_;
};

// The next chunk, failing the test if it does not come within a minute.
[[nodiscard]] Chunk need(Reader &reader);
// Everything up to the end of the stream, joined.
[[nodiscard]] std::string drain(Reader &reader);
// SQLSTATE of the rill::Error that this throws; "none".
[[nodiscard]] std::string sqlstate_of(const std::function<void()> &action);

// Collects what on_event says. Shared with the callback.
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
