// A process that forks while it has a client: the parent notices nothing, the child can do nothing with it.
#include "server.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;
using namespace rill::test;
using rill::Client;

namespace {

#ifdef __SANITIZE_THREAD__
constexpr bool kThreadsInChild = false;  // ThreadSanitizer allows none
#else
constexpr bool kThreadsInChild = true;
#endif

std::set<ino_t> open_sockets() {
    std::set<ino_t> all;
    for (const auto &entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        struct stat info {};
        if (::stat(entry.path().c_str(), &info) == 0 && S_ISSOCK(info.st_mode))
            all.insert(info.st_ino);
    }
    return all;
}

// Runs the function in a forked child, and returns the number of the first of its checks that failed, 0 if none did.
int in_child(const std::function<void(const std::function<void(bool)> &check)> &body) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        int number = 0;
        body([&](bool good) {
            ++number;
            if (!good)
                ::_exit(number);
        });
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

bool refused(const std::function<void()> &action) {
    try {
        action();
    } catch (const rill::Error &error) {
        return error.kind() == rill::ErrorKind::usage && error.sqlstate() == "55000";
    }
    return false;
}

}  // namespace

TEST_SUITE("server" * doctest::skip(no_server())) {
    TEST_CASE("a forked child can only destroy its parent's client, which does the parent no harm") {
        const auto name = unique("fork");
        Admin admin;
        const auto pids = [&] {
            return admin("SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity WHERE application_name "
                         "LIKE '" +
                         name + " %'");
        };
        const auto others = open_sockets();
        std::optional<Client> client(std::in_place, conninfo(), fast_reconnect(name));
        std::optional<rill::Reader> reader(client->read(name));
        client->append(name, "1");
        expect_numbers(*reader, 1, 1);
        REQUIRE(eventually([&] { return client->stats().listening; }));
        const auto before = pids();

        CHECK(in_child([&](const auto &check) {
                  check(open_sockets() == others);
                  check(refused([&] { client->append(name, "child"); }));
                  check(refused([&] { (void) client->head(name); }));
                  check(refused([&] { (void) client->read(name); }));
                  check(refused([&] { (void) client->stats(); }));
                  check(refused([&] { (void) reader->next(); }));
                  check(refused([&] { (void) reader->position(); }));
                  check(refused([&] { reader->on_ready([] {}); }));
                  check(!reader->stopped());
                  reader->stop();
                  client->close();
                  reader.reset();
                  client.reset();
                  if (!kThreadsInChild)
                      return;
                  Client own(conninfo(), fast_reconnect(name + "-child"));
                  check(own.append(name, "2") == 2);
                  check(in_child([&](const auto &check_again) {
                            check_again(refused([&] { own.append(name, "grandchild"); }));
                        }) == 0);
                  check(own.append(name, "3") == 3);
              }) == 0);

        if (!kThreadsInChild) {
            client->append(name, "2");
            client->append(name, "3");
        }
        expect_numbers(*reader, 2, 3);
        client->append(name, "4");
        expect_numbers(*reader, 4, 4);
        CHECK(client->stats().reconnects == 0);
        CHECK(pids() == before);
    }

    TEST_CASE("a client and a reader that were moved from say so") {
        Client client(conninfo());
        auto reader = client.read("x");
        const Client moved(std::move(client));
        const rill::Reader moved_reader(std::move(reader));
        CHECK(refused([&] { client.append("x", "y"); }));  // NOLINT(bugprone-use-after-move)
        CHECK(refused([&] { (void) reader.next(0s); }));   // NOLINT(bugprone-use-after-move)
        client.close();
        reader.stop();
    }
}
