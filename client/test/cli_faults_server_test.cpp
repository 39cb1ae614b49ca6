// What must not go wrong in the rill command, whatever is around it: mistyped words, cursors that cannot be right,
// servers that refuse, names made to deceive, and files, pipes and signals that are not as usual.
#include "server.hpp"
#include "shell.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <future>
#include <string>
#include <vector>

using namespace rill::test;

namespace {

bool is_one_line(const std::string &text) { return !text.empty() && text.find('\n') == text.size() - 1; }

}  // namespace

TEST_CASE("an unknown command or option is named, with the nearest one") {
    CHECK(shell("$RILL tial x 2>&1").output ==
          "rill: unknown command \"tial\"; did you mean \"tail\"? (see rill --help)\n");
    CHECK(shell("$RILL -d app nonsense 2>&1").output == "rill: unknown command \"nonsense\" (see rill --help)\n");
    CHECK(shell("$RILL tail --form start s 2>&1").output ==
          "rill: unknown option \"--form\"; did you mean \"--from\"? (see rill tail --help)\n");
    CHECK(shell("$RILL ls a b 2>&1").output == "rill: unexpected argument \"b\" (see rill ls --help)\n");
    CHECK(shell("$RILL help tial 2>&1").output == "rill: unknown command \"tial\"; did you mean \"tail\"?\n");
    for (const char *const wrong : {"tial x", "tail --form start s", "ls a b", "help tial", "generate nonsense"}) {
        CAPTURE(wrong);
        CHECK(shell(std::string("$RILL ") + wrong + " >/dev/null 2>&1").code == 2);
    }
}

TEST_CASE("a closed or full standard output is reported as what it is") {
    for (const char *const command : {"--help", "--version", "help tail", "generate bash"}) {
        CAPTURE(command);
        const auto closed = shell(std::string("$RILL ") + command + " 2>&1 >&-");
        CHECK(closed.code == 1);
        CHECK(closed.output == "rill: cannot write to standard output: Bad file descriptor\n");
        const auto full = shell(std::string("$RILL ") + command + " 2>&1 >/dev/full");
        CHECK(full.code == 1);
        CHECK(full.output == "rill: cannot write to standard output: No space left on device\n");
    }
}

TEST_SUITE("server" * doctest::skip(no_server())) {
    TEST_CASE("every command reports a closed or full standard output, and a closed standard input") {
        const auto stream = unique("cli-closed-output");
        CHECK(shell("seq 3 | $RILL append -d \"$DB\" " + stream).code == 0);
        for (const std::string &command : std::vector<std::string>{
                 "ls", "ls --json", "ls -1", "info " + stream, "tail --from start " + stream, "tail --json " + stream,
                 "tail -f --from start " + stream, "trim --before 0 " + stream, "top --once --interval 0.1"}) {
            CAPTURE(command);
            const auto closed = shell("timeout 60 $RILL -d \"$DB\" " + command + " 2>&1 >&-");
            CHECK(closed.code == 1);
            CHECK(closed.output == "rill: cannot write to standard output: Bad file descriptor\n");
            const auto full = shell("timeout 60 $RILL -d \"$DB\" " + command + " 2>&1 >/dev/full");
            CHECK(full.code == 1);
            CHECK(full.output == "rill: cannot write to standard output: No space left on device\n");
        }
        CHECK(rill_command("append " + stream + " <&-").output == "rill: standard input: Bad file descriptor\n");
        CHECK(shell("$RILL -d \"$DB\" info " + stream + " 2>&- <&- | grep -c head_id").output == "1\n");
        // What is said on a closed standard error goes nowhere, certainly not to the server.
        CHECK(shell("$RILL -d \"$DB\" tail " + unique("missing") + " 2>&-").code == 1);
    }

    TEST_CASE("a cursor that cannot be right is an error, with and without -f") {
        const auto stream = unique("cli-cursor");
        const auto trimmed = unique("cli-all-trimmed");
        CHECK(shell("seq 3 | $RILL append -d \"$DB\" " + stream + " && seq 3 | $RILL append -d \"$DB\" " + trimmed)
                  .code == 0);
        CHECK(rill_command("trim --before last:0 " + trimmed).output == "3 chunks removed\n");
        for (const char *const how : {"", "-f "}) {
            CAPTURE(how);
            const auto ahead = rill_command(std::string("tail ") + how + "--from id:99999 " + stream);
            CHECK(ahead.code == 1);
            CHECK(
                ahead.output.starts_with("rill: cursor 99999 is not part of the history of stream \"" + stream + "\""));
            CHECK(is_one_line(ahead.output));
            const auto behind = rill_command(std::string("tail ") + how + "--from id:1 " + trimmed);
            CHECK(behind.code == 1);
            CHECK(behind.output.find(trimmed) != std::string::npos);
            CHECK(is_one_line(behind.output));
            const auto missing = rill_command(std::string("tail ") + how + "--from id:1 " + unique("cli-missing"));
            CHECK(missing.code == 1);
            CHECK(is_one_line(missing.output));
        }
        CHECK(rill_command("tail --from id:3 " + stream).code == 0);
        // One of several streams: the others are shown.
        const auto both = rill_command("tail -q --from id:3 " + trimmed + " " + stream);
        CHECK(both.code == 0);
        const auto one = rill_command("tail -q --from id:2 " + trimmed + " " + stream);
        CHECK(one.code == 1);
        CHECK(one.output.ends_with("\n3\n"));
    }

    TEST_CASE("a server that cannot be reached is one line, punctuated, in every command") {
        for (const char *const command : {"tail s", "tail -f s", "append s", "close s", "create s", "trim --before 1 s",
                                          "delete s", "ls", "info s", "top --once"}) {
            CAPTURE(command);
            const auto outcome =
                shell(std::string("echo x | timeout 60 $RILL -h /nonexistent -p 1 -d x ") + command + " 2>&1");
            CHECK(outcome.code == 1);
            CHECK(is_one_line(outcome.output));
            CHECK(
                outcome.output.starts_with("rill: connection to server on socket \"/nonexistent/.s.PGSQL.1\" failed"));
            CHECK(outcome.output.find("No such file or directory (Is the server running locally") != std::string::npos);
        }
    }

    TEST_CASE("names and messages reach no terminal raw") {
        const auto plain = unique("cli-raw");
        const std::string wicked = plain + "\u009b31m\u202e\x1b]0;x\x07\n";
        const std::string quoted = "\"$(printf '" + plain + "\\302\\233'31m'\\342\\200\\256\\033]0;x\\007\\nx')\"";
        CHECK(shell("printf 'data\\n' | $RILL append -d \"$DB\" " + quoted).code == 0);
        const auto bad = [](const std::string &text) {
            return text.find("\u009b") != std::string::npos || text.find("\u202e") != std::string::npos ||
                   text.find('\x1b') != std::string::npos || text.find('\x07') != std::string::npos;
        };
        for (const std::string &arguments : std::vector<std::string>{
                 "tail " + quoted + " " + quoted, "ls " + plain, "info " + quoted, "close " + quoted,
                 "append " + quoted + " </etc/passwd", "tail --from id:77 " + quoted, "create " + quoted,
                 "delete " + quoted + "x", "tail --from \"$(printf 'no\\033time')\" " + quoted, "info " + quoted + "x",
                 "tail --from \"$(printf 'last:\\033')\" s", "\"$(printf 'a\\033')\"",
                 "append s \"$(printf '/a\\033')\"", "create --metadata \"$(printf '{\\302\\233')\" " + plain + "m",
                 "tail --x\"$(printf '\\302\\233')\"", "top --once --interval 0.1 " + plain,
                 "trim --before 99 " + quoted}) {
            CAPTURE(arguments);
            const auto outcome = rill_command(arguments);
            CHECK_FALSE(bad(outcome.output));
            CHECK(outcome.code != 124);
        }
        CHECK(rill_command("tail " + quoted + " " + plain + "x")
                  .output.find("==> " + plain + "\\u009b31m\\u202e\\x1b]0;x\\x07\\x0ax <==") != std::string::npos);
        if (has_terminals())
            CHECK_FALSE(bad(shell("script -qec '$RILL -d \"$DB\" ls -1 " + plain + "' /dev/null").output));
    }

    TEST_CASE("a SQL_ASCII database may have names that are not UTF-8") {
        const auto database = "cli_ascii_" + std::to_string(Random(77).below(1'000'000'000));
        Admin admin;
        (void) admin("CREATE DATABASE " + database + " ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0");
        const auto in_it = [&](const std::string &arguments) {
            return shell("timeout 60 $RILL -d \"$DB dbname=" + database + "\" " + arguments + " 2>&1");
        };
        {
            Admin other(conninfo("dbname=" + database));
            (void) other("CREATE EXTENSION pg_rill");
        }
        const std::string bad = "\"$(printf 'b\\377d')\"";
        CHECK(in_it("append good </dev/null && echo x | $RILL append -d \"$DB dbname=" + database + "\" " + bad).code ==
              0);
        CHECK(in_it("create gr\u00fcn").code == 0);
        CHECK(in_it("ls -1").output == "b\xff"
                                       "d\ngr\u00fcn\n");
        const auto table = in_it("ls");
        CHECK(table.code == 0);
        CHECK(table.output.find("\nb\\xffd ") != std::string::npos);
        CHECK(table.output.find("\ngr\u00fcn  ") != std::string::npos);
        CHECK(in_it("ls --json").output.find("\"name_base64\":\"Yv9k\"") != std::string::npos);
        CHECK(in_it("tail " + bad).output == "x\n");
        CHECK(in_it("tail -q gr\u00fcn " + bad).output == "x\n");
        CHECK(in_it("tail --json " + bad).output.find("\"stream_base64\":\"Yv9k\"") != std::string::npos);
        CHECK(in_it("info --json " + bad).code == 0);
        CHECK(in_it("top --once --interval 0.1").output.find("  b\\xffd\n") != std::string::npos);
        CHECK(in_it("delete " + bad).code == 0);
        (void) admin("DROP DATABASE " + database + " WITH (FORCE)");
    }

    TEST_CASE("a home that does not exist is no failure") {
        CHECK(shell("env -u HOME $RILL -d \"$DB\" ls >/dev/null").code == 0);
        CHECK(shell("HOME=/nonexistent $RILL -d \"$DB\" ls >/dev/null").code == 0);
    }

    TEST_CASE("a stopped tail -f goes on when it is continued, and SIGTERM ends it with exit code 143") {
        const auto stream = unique("cli-stop");
        const TemporaryFile out;
        const TemporaryFile pid;
        // With job control: a process group without a parent in its session, as those of some runners of tests, is not
        // stopped by SIGTSTP.
        auto tail = std::async(std::launch::async, [&] {
            return shell("exec bash -mc '$RILL tail -f -d \"$DB\" " + stream + " >" + out.name() + " & echo $! >" +
                         pid.name() + "; wait -f $!'");
        });
        CHECK(shell("echo one | $RILL append -d \"$DB\" " + stream).code == 0);
        CHECK(eventually([&] { return out.content() == "one\n"; }));
        const auto process = std::to_string(std::stoi(pid.content()));
        CHECK(shell("kill -TSTP " + process).code == 0);
        CHECK(eventually([&] { return shell("grep -q '^State:.T' /proc/" + process + "/status").code == 0; }));
        CHECK(shell("echo two | $RILL append -d \"$DB\" " + stream + " && kill -CONT " + process).code == 0);
        CHECK(eventually([&] { return out.content() == "one\ntwo\n"; }));
        CHECK(shell("kill -TERM " + process).code == 0);
        CHECK(tail.get().code == 143);
    }

    TEST_CASE("Ctrl-C in a command that waits for the server cancels it there, too") {
        const auto stream = unique("cli-cancel");
        CHECK(shell("seq 3 | $RILL append -d \"$DB\" " + stream).code == 0);
        Admin holder;
        Admin observer;
        (void) holder("BEGIN");
        (void) holder("SELECT " + holder.schema() + "stream_delete('" + stream + "')");
        auto deletion = std::async(std::launch::async, [&] {
            return shell("env --default-signal=INT $RILL delete -d \"$DB application_name=" + stream + "\" " + stream +
                         " 2>&1 & until [ -e " + "/tmp/" + stream + " ]; do sleep 0.1; done; kill -INT $!; wait $!");
        });
        const auto sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = '" + stream + "'";
        CHECK(eventually([&] { return observer(sessions + " AND wait_event_type = 'Lock'") == "1"; }));
        CHECK(shell("touch /tmp/" + stream).code == 0);
        const auto outcome = deletion.get();
        CHECK(shell("rm /tmp/" + stream).code == 0);
        CHECK(outcome.code == 130);
        CHECK(outcome.output.empty());
        CHECK(eventually([&] { return observer(sessions) == "0"; }));
        (void) holder("ROLLBACK");
        CHECK(rill_command("info " + stream + " | grep -c head_id").output == "1\n");
    }
}
