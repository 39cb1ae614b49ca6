// The connecting state machine in front of sockets that do not answer. Time is passed in, so nothing waits.
#include "connector.hpp"
#include "link.hpp"
#include "name_service.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace std::chrono_literals;
using namespace rill::detail;
using Progress = Connector::Progress;
using State = Connector::State;

namespace {

// Accepts connections, by its backlog, and never answers.
class SilentHost {
public:
    SilentHost() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        REQUIRE(::bind(fd_, reinterpret_cast<sockaddr *>(&address), size) == 0);
        REQUIRE(::listen(fd_, 16) == 0);
        REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr *>(&address), &size) == 0);
        port_ = ntohs(address.sin_port);
    }
    SilentHost(const SilentHost &) = delete;
    SilentHost &operator=(const SilentHost &) = delete;
    ~SilentHost() { ::close(fd_); }
    [[nodiscard]] std::string port() const { return std::to_string(port_); }

private:
    int fd_;
    int port_ = 0;
};

std::string connected_to(const Connector &connector) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    REQUIRE(::getpeername(connector.fd(), reinterpret_cast<sockaddr *>(&address), &size) == 0);
    return std::to_string(ntohs(address.sin_port));
}

// Until libpq waits for the host's first byte.
void await_silence(Connector &connector, TimePoint now) {
    while (connector.events() != POLLIN) {
        pollfd fd{connector.fd(), connector.events(), 0};
        REQUIRE(::poll(&fd, 1, 60'000) == 1);
        REQUIRE(connector.advance(fd.revents, now) == Progress::pending);
    }
}

}  // namespace

TEST_CASE("hosts that do not answer are tried in order, each for connect_timeout, and later rounds begin behind them") {
    const SilentHost first;
    const SilentHost second;
    const Conninfo conninfo("host=127.0.0.1,127.0.0.1 connect_timeout=7 sslmode=disable gssencmode=disable port=" +
                            first.port() + "," + second.port());
    Connector connector(conninfo, "test");
    TimePoint now = Clock::now();
    REQUIRE(connector.start(1s, now) == Progress::pending);
    CHECK(connector.state() == State::connecting);
    await_silence(connector, now);
    CHECK(connected_to(connector) == first.port());
    CHECK(connector.wake_at() == now + 7s);
    CHECK(connector.advance(0, now + 6s) == Progress::pending);

    now += 7s;
    REQUIRE(connector.advance(0, now) == Progress::pending);
    await_silence(connector, now);
    CHECK(connected_to(connector) == second.port());
    CHECK(connector.wake_at() == now + 7s);

    now += 7s;
    CHECK(connector.advance(0, now) == Progress::failed);
    CHECK(connector.state() == State::inactive);
    CHECK(connector.failure().connection_lost());
    CHECK(std::string(connector.failure().what()) == "no answer from the server within connect_timeout");
    CHECK_FALSE(connector.answer_timed_out());

    // stop() skips the host that is being tried, too.
    REQUIRE(connector.start(1s, now) == Progress::pending);
    await_silence(connector, now);
    CHECK(connected_to(connector) == first.port());
    connector.stop();
    CHECK(connector.state() == State::inactive);
    REQUIRE(connector.start(1s, now) == Progress::pending);
    await_silence(connector, now);
    CHECK(connected_to(connector) == second.port());
}

TEST_CASE("a host that refuses and a name service that does not answer are failures with a reason") {
    const Conninfo refusing("host=127.0.0.1 port=1");
    Connector refused(refusing, "test");
    const TimePoint now = Clock::now();
    auto progress = refused.start(1s, now);
    while (progress == Progress::pending) {
        pollfd fd{refused.fd(), refused.events(), 0};
        REQUIRE(::poll(&fd, 1, 60'000) == 1);
        progress = refused.advance(fd.revents, now);
    }
    CHECK(progress == Progress::failed);
    CHECK(refused.failure().connection_lost());

    rill::test::NameService names({"127.0.0.1"});
    names.hang(true);
    const Conninfo by_name("host=db.rill-test port=1 connect_timeout=7");
    Connector resolving(by_name, "test");
    REQUIRE(resolving.start(1s, now) == Progress::pending);
    CHECK(resolving.state() == State::resolving);
    CHECK(resolving.advance(0, now + 6s) == Progress::pending);
    CHECK(resolving.advance(0, now + 7s) == Progress::failed);
    CHECK(std::string(resolving.failure().what()) == "no answer from the name service within connect_timeout");
    // The next attempt waits for the same look-up.
    REQUIRE(resolving.start(1s, now) == Progress::pending);
    REQUIRE(rill::test::eventually([] { return rill::test::NameService::hanging() == 1; }));
    names.hang(false);
    pollfd fd{resolving.fd(), POLLIN, 0};
    REQUIRE(::poll(&fd, 1, 60'000) == 1);
    CHECK(resolving.advance(fd.revents, now) == Progress::pending);
    CHECK(resolving.state() == State::connecting);
}

TEST_CASE("a link whose backoff is long tries at once when it is told that the server is back") {
    const Conninfo conninfo("host=/nowhere/to/be/found");
    const std::chrono::milliseconds hour = std::chrono::hours(1);
    Link kept(conninfo, "test", Backoff(hour, hour), std::chrono::seconds(1));
    const auto now = Clock::now();
    CHECK(kept.advance(0, now) == Link::Progress::failed);
    CHECK(kept.wake_at() >= now + std::chrono::minutes(30));
    CHECK(kept.advance(0, now + std::chrono::minutes(1)) == Link::Progress::none);
    kept.try_now(now);
    CHECK(kept.wake_at() <= now);
    CHECK(kept.advance(0, now) == Link::Progress::failed);
    CHECK(kept.wake_at() >= now + std::chrono::minutes(30));
}
