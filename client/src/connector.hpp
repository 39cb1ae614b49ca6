// Makes a connection that is ready for calls of the extension, without blocking: resolves host names, tries the hosts
// in order, checks that the session answers, and finds the extension's schema. The background loop drives one for each
// of its links; a thread that makes a call drives one by a poll loop of its own.
//
//   from        event                                             to
//   inactive    start()                                           resolving
//   resolving   the names are resolved                            connecting
//               no name has an address, or connect_timeout        inactive    Progress::failed
//   connecting  libpq has connected                               locating
//               connect_timeout: this host does not answer        connecting  the next host
//               connect_timeout at the last host, or libpq has
//               failed (it tries the hosts that refuse by itself) inactive    Progress::failed
//   locating    the answer with the extension's schema            inactive    Progress::connected
//               an error, no extension, no answer in time         inactive    Progress::failed
//   any         stop()                                            inactive
//
// Situations it must survive: a name service that is down, a host that does not answer (each has connect_timeout for
// itself, and the next attempt begins behind it), one that accepts everything and answers nothing, names whose
// addresses change. Thread-safety: one thread at a time.
#pragma once

#include "conninfo.hpp"
#include "host_list.hpp"
#include "monotonic.hpp"
#include "session.hpp"

#include <chrono>
#include <string>

namespace rill::detail {

class Connector {
public:
    enum class State { inactive, resolving, connecting, locating };
    enum class Progress { pending, connected, failed };

    // `purpose` is shown in pg_stat_activity after the application's name. `conninfo` must outlive this object.
    Connector(const Conninfo &conninfo, std::string purpose)
        : conninfo_(conninfo), purpose_(std::move(purpose)), hosts_(conninfo.hosts()) {}

    // Begins an attempt; host names are resolved again. Once a server has accepted the connection, it must send
    // something at least every `answer_timeout`; zero is no limit.
    [[nodiscard]] Progress start(std::chrono::milliseconds answer_timeout, TimePoint now);
    // Continues as far as it can; `revents` is what poll(2) returned for fd().
    [[nodiscard]] Progress advance(short revents, TimePoint now);
    // The owner has no more time for this attempt. If a host was being tried, the next one begins behind it.
    void stop();

    [[nodiscard]] State state() const noexcept { return state_; }
    // For poll(2).
    [[nodiscard]] int fd() const noexcept;
    [[nodiscard]] short events() const noexcept;
    // When advance() must be called at the latest.
    [[nodiscard]] TimePoint wake_at() const noexcept { return wake_at_; }

    // After Progress::connected: the idle session, and the quoted schema with its dot.
    [[nodiscard]] Session take_session() noexcept { return std::exchange(session_, Session()); }
    [[nodiscard]] const std::string &schema() const noexcept { return schema_; }
    // No pooler is in between.
    [[nodiscard]] bool direct() const noexcept { return direct_; }

    // After Progress::failed: connection_lost(), or what is wrong with the database that was reached.
    [[nodiscard]] const Error &failure() const noexcept { return failure_; }
    // The server accepted the connection and did not answer in time.
    [[nodiscard]] bool answer_timed_out() const noexcept { return answer_timed_out_; }

private:
    [[nodiscard]] Progress resolved(TimePoint now);
    [[nodiscard]] Progress connect(TimePoint now);
    [[nodiscard]] Progress advance_connect(TimePoint now);
    [[nodiscard]] Progress locate(Session session, TimePoint now);
    [[nodiscard]] Progress advance_locate(short revents, TimePoint now);
    [[nodiscard]] Progress fail(Error why);
    void restart_host_timeout(TimePoint now);
    [[nodiscard]] TimePoint host_deadline(TimePoint now) const noexcept {
        return deadline_after(now, conninfo_.connect_timeout());
    }

    const Conninfo &conninfo_;
    const std::string purpose_;
    HostList hosts_;

    State state_ = State::inactive;
    TimePoint wake_at_ = TimePoint::max();
    std::chrono::milliseconds answer_timeout_{};
    Connection connection_;  // while connecting
    Host current_host_;
    short events_ = 0;
    Session session_;  // from then on
    std::string schema_;
    bool direct_ = false;
    Error failure_{"not connected yet"};
    bool answer_timed_out_ = false;
};

}  // namespace rill::detail
