// rill top: its lines at any size, and the screen in a real terminal.
#include "server.hpp"
#include "shell.hpp"
#include "support.hpp"
#include "top_view.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <memory>
#include <string>

using namespace rill::cli;
using namespace rill::test;

namespace {

TopSnapshot sample() {
    TopSnapshot snapshot;
    snapshot.database = "app";
    snapshot.streams = {
        {.name = "b", .head = 7, .rate = 2.5, .readers = 1, .age = 3.2, .closed = false},
        {.name = "a", .head = 1'000'000, .rate = 0, .readers = 0, .age = 90'000, .closed = true},
        {.name = "\u6c34\u202e\x1b[31m", .head = 0, .rate = {}, .readers = {}, .age = {}, .closed = false},
        {.name = "c", .head = 9, .rate = 1234.4, .readers = 4, .age = 0, .closed = false},
    };
    snapshot.state = TopState{.listeners = 3,
                              .waiters = 5,
                              .notifier = "running",
                              .notifier_pid = 42,
                              .retention_age = 61,
                              .retention_backlog = {},
                              .retention_lag = {},
                              .trimmed_chunks = 0,
                              .wakeups = 1,
                              .notifies = 1,
                              .overflows = 0,
                              .rescues = 0,
                              .wakeups_rate = 8.01,
                              .notifies_rate = {}};
    return snapshot;
}

std::string order(Sort sort) {
    auto streams = sample().streams;
    sort_streams(streams, sort);
    std::string names;
    for (const auto &stream : streams)
        names += stream.name.substr(0, 1) == "\xe6" ? "w" : stream.name;
    return names;
}

// A terminal of a size in which `rill top` runs; what its screen shows.
class Terminal {
public:
    Terminal(int width, int height, const std::string &command) : socket_(unique("rill-tmux")) {
        start_ = tmux("-f /dev/null new-session -d -x " + std::to_string(width) + " -y " + std::to_string(height) +
                      " \"" + command + "; echo; echo code=$?; sleep 60\"");
    }
    Terminal(const Terminal &) = delete;
    Terminal &operator=(const Terminal &) = delete;
    ~Terminal() { (void) tmux("kill-server"); }

    [[nodiscard]] bool started() const { return start_.code == 0; }
    [[nodiscard]] std::string screen() const { return tmux("capture-pane -p").output; }
    [[nodiscard]] bool shows(const std::string &text) const {
        const bool found = eventually([&] { return screen().find(text) != std::string::npos; });
        INFO(screen());
        CHECK(found);
        return found;
    }
    void keys(const std::string &keys) const { (void) tmux("send-keys " + keys); }
    void resize(int width, int height) const {
        (void) tmux("resize-window -x " + std::to_string(width) + " -y " + std::to_string(height));
    }
    [[nodiscard]] std::string pid() const { return tmux("display-message -p '#{pane_pid}'").output; }

private:
    [[nodiscard]] Outcome tmux(const std::string &command) const {
        return shell("tmux -L " + socket_ + " " + command + " 2>&1");
    }
    std::string socket_;
    Outcome start_{};
};

bool has_tmux() {
    const bool has = shell("tmux -V >/dev/null 2>&1").code == 0;
    if (!has)
        MESSAGE("skipped: this system has no tmux");
    return has;
}

}  // namespace

TEST_CASE("top's lines fill a screen of any size exactly, and hold no control character") {
    for (std::size_t width = 1; width <= 130; width += width < 30 ? 1 : 25)
        for (std::size_t height = 1; height <= 40; height += height < 14 ? 1 : 13)
            for (const bool help : {false, true}) {
                TopView view;
                view.help = help;
                view.first = 99;
                auto snapshot = sample();
                snapshot.error = "a\u009bb\nc";
                const auto lines = top_screen(snapshot, view, width, height, Charset::utf8);
                REQUIRE(lines.size() == height);
                for (const auto &line : lines) {
                    REQUIRE(columns(line.text) == width);
                    REQUIRE(printable(line.text) == line.text);
                }
            }
}

TEST_CASE("top sorts by rate, name, head, readers and last append") {
    CHECK(order(Sort::rate) == "cbaw");
    CHECK(order(Sort::name) == "abcw");
    CHECK(order(Sort::head) == "acbw");
    CHECK(order(Sort::readers) == "cbaw");
    CHECK(order(Sort::last) == "cbaw");
    CHECK(parse_sort("readers") == Sort::readers);
    CHECK_FALSE(parse_sort("size"));
}

TEST_CASE("top's plain table has units and dashes, and its JSON the names as they are") {
    const std::string table = top_table(sample(), Sort::rate);
    CHECK(table.starts_with("rill top app  appends 1237/s  by rate\n"));
    CHECK(table.find("3 listening  5 waiting  wake-ups 8.0/s  NOTIFYs -/s") != std::string::npos);
    CHECK(table.find("notifier running (42)") != std::string::npos);
    CHECK(table.find("retention ran 1m ago") != std::string::npos);
    CHECK(table.find("  1234        9        4    0s  open    c\n") != std::string::npos);
    CHECK(table.find("     0  1000000        0    1d  closed  a\n") != std::string::npos);
    CHECK(table.find("     -        0        -     -  open    \u6c34\\u202e\\x1b[31m\n") != std::string::npos);
    CHECK(top_json(sample(), Sort::name).find("{\"name\":\"a\",\"rate\":0.0,\"head_id\":1000000,\"waiters\":0,") !=
          std::string::npos);
}

TEST_SUITE("server" * doctest::skip(no_server())) {
    TEST_CASE("top --once measures the streams that are written, and --json is an object") {
        const auto prefix = unique("top-once");
        const auto stream = prefix + "-z-busy";
        // So many that the busy one is not among the first by name.
        Admin admin;
        (void) admin("SELECT count(" + admin.schema() + "stream_create('" + prefix +
                     "-a' || i)) FROM generate_series(1, 150) i");
        // Appends until the table has been printed. The stream is created after top has begun.
        const std::string script = "mkfifo /tmp/" + prefix + "; { while [ -e /tmp/" + prefix +
                                   " ]; do echo x; sleep 0.05; done; } | $RILL append -d \"$DB\" " + stream +
                                   " & timeout 60 $RILL top -d \"$DB\" --interval 1 ";
        const auto table = shell(script + "--once " + prefix + "; rm /tmp/" + prefix + "; wait");
        CHECK(table.output.find(prefix + "-a1\n") != std::string::npos);
        const auto at = table.output.find(stream);
        REQUIRE(at != std::string::npos);
        const auto line = table.output.substr(table.output.rfind('\n', at) + 1, at);
        CHECK(std::strtod(line.c_str(), nullptr) > 0);
        const auto json = rill_command("top --json --interval 0.1 " + prefix);
        CHECK(json.code == 0);
        CHECK(json.output.starts_with("{\"database\":"));
        CHECK(json.output.find("\"name\":\"" + prefix + "-a1\"") != std::string::npos);
        CHECK(rill_command("top --interval 0").code == 2);
        CHECK(rill_command("top --sort size").code == 2);
        // No terminal: one table.
        CHECK(shell("$RILL top -d \"$DB\" --interval 0.1 " + prefix + " </dev/null").code == 0);
    }

    TEST_CASE("top needs no more rights than seeing streams") {
        Admin admin;
        const std::string role = "top_reader_" + std::to_string(Random(78).below(1'000'000'000));
        (void) admin("CREATE ROLE " + role + " LOGIN");
        (void) admin("GRANT SELECT ON " + admin.schema() + "stream TO " + role);
        const auto stream = unique("top-rights");
        admin.create(stream);
        const auto outcome = rill_command("-U " + role + " top --once --interval 0.1 " + stream);
        CHECK(outcome.code == 0);
        CHECK(outcome.output.find("workers: shown to members of pg_monitor") != std::string::npos);
        CHECK(outcome.output.find(stream + "\n") != std::string::npos);
        (void) admin("DROP OWNED BY " + role);
        (void) admin("DROP ROLE " + role);
    }

    TEST_CASE("top on a terminal: keys, another size, a filter, a lost connection, the end") {
        if (!has_tmux())
            return;
        const auto prefix = unique("top-live");
        for (const char *const name : {"-a", "-b", "-c"})
            CHECK(shell("seq 3 | $RILL append -d \"$DB\" " + prefix + name).code == 0);
        const Terminal terminal(40, 14, "$RILL top -d '$DB application_name=" + prefix + "' --interval 0.1 " + prefix);
        REQUIRE(terminal.started());
        CHECK(terminal.shows("RATE/S      HEAD NAME"));
        CHECK(terminal.shows(prefix.substr(0, 20)));
        terminal.resize(100, 20);
        CHECK(terminal.shows("READERS  LAST STATE  NAME"));
        CHECK(terminal.shows(prefix + "-c"));
        terminal.keys("n");
        CHECK(terminal.shows("by name"));
        terminal.keys("'?'");
        CHECK(terminal.shows("space       stop, and continue"));
        terminal.keys("'?'");
        terminal.keys("/");
        terminal.keys("-l -- -b");
        terminal.keys("Enter");
        CHECK(terminal.shows("filter " + prefix + "-b"));
        CHECK(eventually([&] { return terminal.screen().find(prefix + "-c") == std::string::npos; }));
        Admin admin;
        CHECK(admin.terminate(prefix) == 1);
        CHECK(eventually([&] { return admin.connected(prefix); }));
        CHECK(shell("seq 3 | $RILL append -d \"$DB\" " + prefix + "-bb").code == 0);
        CHECK(terminal.shows(prefix + "-bb"));
        terminal.keys("Escape");
        CHECK(eventually([&] { return terminal.screen().find("filter " + prefix) == std::string::npos; }));
        terminal.keys("q");
        CHECK(terminal.shows("code=0"));
        CHECK(eventually([&] { return !admin.connected(prefix); }));
    }

    TEST_CASE("a terminal that cannot move its cursor gets one table") {
        if (!has_tmux())
            return;
        for (const char *const term : {"dumb", "no-such-terminal"}) {
            CAPTURE(term);
            const Terminal terminal(80, 20, std::string("TERM=") + term + " $RILL top -d '$DB' --interval 0.1 none");
            CHECK(terminal.shows("RATE/S  HEAD  READERS  LAST  STATE  NAME"));
            CHECK(terminal.shows("code=0"));
        }
    }
}
