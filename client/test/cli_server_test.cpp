// The rill command against a real server, run as a user runs it. RILL is the program's absolute path (the Makefile
// sets it).
#include "server.hpp"
#include "shell.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <future>
#include <vector>

using namespace rill::test;

TEST_SUITE("server" * doctest::skip(no_server())) {
    TEST_CASE("the bytes that go in come out, cut by lines or by size") {
        Random random(20);
        const TemporaryFile file(random.bytes(300'000) + "\n\nno newline at the end");
        for (const char *const how : {"", "--size 1000", "--size 7919 --close"}) {
            CAPTURE(how);
            const auto stream = unique("cli bytes");
            CHECK(shell("$RILL append -d \"$DB\" '" + stream + "' " + how + " " + file.name()).code == 0);
            const auto out = shell("$RILL tail -d \"$DB\" --from start '" + stream + "'");
            CHECK(out.code == 0);
            CHECK(out.output == file.content());
        }
    }

    TEST_CASE("a named pipe is read as cat reads it, and names are taken literally") {
        const TemporaryFile pipe;
        const auto stream = "[" + unique("cli,pipe") + "]";
        const auto append = "timeout 60 $RILL append -d \"$DB\" '" + stream + "' ";
        CHECK(shell("rm " + pipe.name() + " && mkfifo " + pipe.name() + " && { printf 'a\\nb' >" + pipe.name() +
                    " & } && " + append + pipe.name())
                  .code == 0);
        CHECK(shell("cd /tmp && printf c >'[1,2]' && " + append + "'[1,2]' && rm '[1,2]'").code == 0);
        CHECK(shell("$RILL tail -d \"$DB\" '" + stream + "'").output == "a\nbc");
        CHECK(
            shell("echo x | $RILL append -d \"$DB\" -- '-" + stream + "' && $RILL tail -d \"$DB\" -- '-" + stream + "'")
                .output == "x\n");
    }

    TEST_CASE("without -f, tail shows the last ten chunks and exits") {
        const auto stream = unique("cli-tail");
        CHECK(shell("seq 1 25 | $RILL append -d \"$DB\" " + stream + " - && $RILL close -d \"$DB\" " + stream).code ==
              0);
        CHECK(shell("$RILL tail -d \"$DB\" " + stream).output == shell("seq 16 25").output);
        CHECK(shell("$RILL tail -d \"$DB\" --from last:2 " + stream).output == "24\n25\n");
        CHECK(shell("$RILL tail -d \"$DB\" --from last:0 " + stream).output.empty());
        CHECK(shell("$RILL tail -d \"$DB\" --from id:23 " + stream).output == "24\n25\n");
        CHECK(shell("$RILL tail -d \"$DB\" --from now " + stream).output.empty());
        CHECK(shell("$RILL tail -d \"$DB\" --from last:99 -f " + stream).output == shell("seq 1 25").output);
    }

    TEST_CASE("lines of a slow pipe are sent as they come, and tail -f exits when the stream ends") {
        const auto stream = unique("cli-follow");
        const TemporaryFile out;
        // The second line is written only when the first has arrived at the other side.
        const auto script = "$RILL tail -f -d \"$DB\" " + stream + " >" + out.name() +
                            " & { echo one; i=0; until grep -q one " + out.name() +
                            " || [ $i -gt 600 ]; do sleep 0.1; i=$((i+1)); done; echo two; } | $RILL append --close -d "
                            "\"$DB\" " +
                            stream + "; wait $!";
        CHECK(shell(script).code == 0);
        CHECK(out.content() == "one\ntwo\n");
    }

    TEST_CASE("several streams get headers, -q omits them, and --json prints one object a line") {
        const auto a = unique("cli-a");
        const auto b = unique("cli-b");
        CHECK(shell("echo 1 | $RILL append -d \"$DB\" " + a + "; printf '\\377' | $RILL append --close -d \"$DB\" " + b)
                  .code == 0);
        CHECK(shell("$RILL tail -d \"$DB\" " + a + " " + b).output ==
              "==> " + a + " <==\n1\n\n==> " + b + " <==\n\xff");
        CHECK(shell("$RILL tail -q -d \"$DB\" " + a + " " + b).output == "1\n\xff");
        const auto json = shell("$RILL tail --json -d \"$DB\" " + a + " " + b).output;
        CHECK(json.find("{\"stream\":\"" + a + "\",\"id\":1,\"appended_at\":\"20") == 0);
        CHECK(json.find("\"data\":\"1\\n\"}\n") != std::string::npos);
        CHECK(json.find("\"data_base64\":\"/w==\"}\n") != std::string::npos);
        CHECK(json.find("{\"stream\":\"" + b + "\",\"id\":2,\"eof\":true}\n") != std::string::npos);
    }

    TEST_CASE("ls and info describe streams, for people and for programs") {
        const auto stream = unique("cli-info");
        CHECK(shell("seq 3 | $RILL append -d \"$DB\" --close " + stream).code == 0);
        CHECK(shell("$RILL ls -d \"$DB\" | grep '^NAME  *HEAD  CLOSED  LAST$'").code == 0);
        CHECK(shell("$RILL ls -d \"$DB\" | grep '^" + stream + " .* 4  yes  *20'").code == 0);
        CHECK(shell("$RILL ls --json -d \"$DB\" | grep -c '\"name\":\"" + stream + "\"'").output == "1\n");
        CHECK(shell("$RILL info -d \"$DB\" " + stream + " | grep '^closed  *yes$'").code == 0);
        CHECK(shell("$RILL info --json -d \"$DB\" " + stream + " | grep '\"closed\":true,.*\"head_id\":4'").code == 0);
    }

    TEST_CASE("a failure prints one line and exits with 1, and wrong usage exits with 2") {
        const auto closed = unique("cli-closed");
        CHECK(shell("$RILL close -d \"$DB\" " + closed).code == 0);
        const TemporaryFile file("x\n");
        const std::vector<std::string> failures{"append " + closed + " " + file.name(),
                                                "tail " + unique("missing"),
                                                "info " + unique("missing"),
                                                "tail --from 'no time' " + closed,
                                                "append x /nonexistent/file",
                                                "append x '/nonexistent\nfile'",
                                                "append x /tmp",
                                                "append '' " + file.name(),
                                                "tail ''",
                                                "ls -h /nonexistent/directory"};
        for (const auto &failing : failures) {
            CAPTURE(failing);
            const auto outcome = shell("$RILL -d \"$DB\" " + failing + " 2>&1");
            CHECK(outcome.code == 1);
            CHECK(outcome.output.starts_with("rill: "));
            CHECK(outcome.output.find('\n') == outcome.output.size() - 1);
        }
        CHECK(shell("$RILL -p 1 2>&1").output == "rill: no command given (see rill --help)\n");
        for (const char *const wrong :
             {"", "-p 1", "nonsense", "append", "tail --from last:x s", "append --size 0 s", "ls a extra"}) {
            CAPTURE(wrong);
            const auto outcome = shell(std::string("$RILL ") + wrong + " 2>&1 >/dev/null </dev/null");
            CHECK(outcome.code == 2);
            CHECK_FALSE(outcome.output.empty());
        }
        CHECK(shell("$RILL --help").code == 0);
        CHECK(shell("$RILL tail -?").code == 0);
        CHECK(shell("$RILL --version").output.starts_with("rill "));
    }

    TEST_CASE("tail exits quietly when nobody reads its output, like cat") {
        const auto stream = unique("cli-pipe");
        CHECK(shell("seq 1 100000 | $RILL append -d \"$DB\" " + stream).code == 0);
        const auto outcome = shell("{ $RILL tail -d \"$DB\" --from start " + stream + "; } 2>&1 | head -n 1");
        CHECK(outcome.output == "1\n");
        // Also while no chunk comes.
        CHECK(shell("{ $RILL tail -f -d \"$DB\" --from last:1 " + stream + "; } 2>&1 | head -n 1").output ==
              "100000\n");
        const auto ignored =
            shell("{ trap '' PIPE; $RILL tail -d \"$DB\" --from start " + stream + " 2>&1; } | head -n 1");
        CHECK(ignored.output == "1\n");
    }

    TEST_CASE("Ctrl-C ends tail -f with exit code 130") {
        const auto stream = unique("cli-interrupt");
        const TemporaryFile out;
        CHECK(shell("echo x | $RILL append -d \"$DB\" " + stream).code == 0);
        // A shell's background job ignores SIGINT, so the tail is started by one that does not.
        const auto outcome = shell("env --default-signal=INT $RILL tail -f -d \"$DB\" " + stream + " >" + out.name() +
                                   " & until [ -s " + out.name() + " ]; do sleep 0.1; done; kill -INT $!; wait $!");
        CHECK(outcome.code == 130);
        CHECK(out.content() == "x\n");
    }

    TEST_CASE("tail -f reports a lost connection once, and follows the stream when it is back") {
        const auto stream = unique("cli-lost");
        const TemporaryFile out;
        const TemporaryFile errors;
        auto tail = std::async(std::launch::async, [&] {
            return shell("$RILL tail -f -d \"$DB application_name=" + stream + "\" " + stream + " >" + out.name() +
                         " 2>" + errors.name());
        });
        CHECK(shell("echo one | $RILL append -d \"$DB\" " + stream).code == 0);
        CHECK(eventually([&] { return out.content() == "one\n"; }));
        Admin admin;
        CHECK(admin.terminate(stream) > 0);
        CHECK(eventually([&] { return errors.content().find("connected again\n") != std::string::npos; }));
        CHECK(shell("echo two | $RILL append -d \"$DB\" --close " + stream).code == 0);
        CHECK(tail.get().code == 0);
        CHECK(out.content() == "one\ntwo\n");
        const std::string said = errors.content();
        CHECK(said.starts_with("rill: "));
        CHECK(std::count(said.begin(), said.end(), '\n') == 2);
    }

    TEST_CASE("a stream that cannot be read is reported, and tail shows the others") {
        const auto trimmed = unique("cli-trimmed");
        const auto other = unique("cli-other");
        Admin admin;
        CHECK(
            shell("seq 3 | $RILL append -d \"$DB\" " + trimmed + " && seq 3 | $RILL append -d \"$DB\" --close " + other)
                .code == 0);
        (void) admin("SELECT " + admin.schema() + "stream_trim('" + trimmed + "', 3)");
        for (const char *const how : {"-q", "-qf"}) {
            CAPTURE(how);
            std::string command = "$RILL tail --from id:1 -d \"$DB\" ";
            command.append(how).append(" ").append(trimmed).append(" ").append(other).append(" 2>&1");
            const auto outcome = shell(command);
            CHECK(outcome.code == 1);
            CHECK(outcome.output.starts_with("rill: "));
            CHECK(outcome.output.find("stream \"" + trimmed + "\"") < outcome.output.find('\n'));
            CHECK(outcome.output.ends_with("\n2\n3\n"));
        }
    }

    TEST_CASE("tail -f goes on with the other streams when one is deleted") {
        const auto deleted = unique("cli-deleted");
        const auto other = unique("cli-other");
        const TemporaryFile out;
        Admin admin;
        auto tail = std::async(std::launch::async, [&] {
            return shell("$RILL tail -q -f -d \"$DB\" " + deleted + " " + other + " 2>&1 >" + out.name());
        });
        CHECK(shell("echo a | $RILL append -d \"$DB\" " + deleted).code == 0);
        CHECK(eventually([&] { return out.content() == "a\n"; }));
        (void) admin("SELECT " + admin.schema() + "stream_delete('" + deleted + "')");
        CHECK(shell("echo b | $RILL append -d \"$DB\" --close " + other).code == 0);
        CHECK(eventually([&] { return out.content() == "a\nb\n"; }));
        const auto outcome = tail.get();
        CHECK(outcome.code == 1);
        CHECK(outcome.output.find("stream \"" + deleted + "\"") < outcome.output.find('\n'));
    }

    TEST_CASE("a long append shows its progress on a terminal, and wipes it") {
        if (!has_terminals())
            return;
        const auto stream = unique("cli-progress");
        const TemporaryFile file(shell("seq 1 100000").output);
        // The batch waits for this transaction, which may close the stream, until more than the second has passed
        // after which progress is shown.
        Admin closer;
        Admin observer;
        (void) closer("BEGIN");
        (void) closer("SELECT " + closer.schema() + "stream_close('" + stream + "')");
        auto append = std::async(std::launch::async, [&] {
            return shell("script -qec '$RILL append -d \"$DB\" " + stream + " " + file.name() + "' /dev/null");
        });
        const bool waited = eventually([&] {
            return observer("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'rill%' AND "
                            "wait_event_type = 'Lock' "
                            "AND clock_timestamp() - query_start > '1.1 s'") != "0";
        });
        (void) closer("ROLLBACK");
        CHECK(waited);
        const auto outcome = append.get();
        CHECK(outcome.code == 0);
        CHECK(outcome.output.find(" %  ") != std::string::npos);
        CHECK(outcome.output.ends_with("\r\033[K"));
        CHECK(shell("$RILL tail -d \"$DB\" --from start " + stream + " | cmp - " + file.name()).code == 0);
    }
}
