// rill create, trim, delete, ls and the places where tail begins.
#include "server.hpp"
#include "shell.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <future>
#include <string>
#include <vector>

using namespace rill::test;

TEST_SUITE("server" * doctest::skip(no_server())) {
    TEST_CASE("create sets limits and metadata, and leaves a stream that is there as it is") {
        const auto stream = unique("cli-create");
        CHECK(rill_command(
                  "create " + stream +
                  " --max-age '7 days' --max-chunks 10 --max-bytes 1000 --delete-after-close 1h --max-idle '2 days'"
                  " --expires-at '2100-01-01 00:00 UTC' --metadata '{\"a\": [1]}'")
                  .output.empty());
        const auto json = rill_command("info --json " + stream).output;
        for (const char *const has :
             {"\"max_age\":\"7 days\"", "\"max_chunks\":10", "\"max_bytes\":1000",
              "\"delete_after_close\":\"01:00:00\"", "\"max_idle\":\"2 days\"",
              "\"expires_at\":\"2100-01-01T00:00:00.000000Z\"", "\"metadata\":{\"a\":[1]}", "\"head_id\":0"}) {
            CAPTURE(has);
            CHECK(json.find(has) != std::string::npos);
        }
        const auto again = rill_command("create " + stream + " --max-chunks 5");
        CHECK(again.code == 1);
        CHECK(again.output == "rill: stream \"" + stream + "\" exists already, and is left as it is\n");
        CHECK(rill_command("create --if-not-exists " + stream + " --max-chunks 5").code == 0);
        CHECK(rill_command("info --json " + stream).output.find("\"max_chunks\":10") != std::string::npos);
        for (const char *const wrong :
             {"--max-age soon", "--max-chunks x", "--max-chunks -1", "--metadata '{'", "--expires-at never"}) {
            CAPTURE(wrong);
            const auto outcome = rill_command("create " + unique("cli-wrong") + " " + wrong);
            CHECK(outcome.code == 1);
            CHECK(outcome.output.find('\n') == outcome.output.size() - 1);
        }
        CHECK(rill_command("create " + unique("[cli]") + " --metadata '[1, 2]'").code == 0);
    }

    TEST_CASE("trim removes what lies before a chunk, the last chunks or a time") {
        const auto stream = unique("cli-trim");
        CHECK(shell("seq 10 | $RILL append -d \"$DB\" --close " + stream).code == 0);
        CHECK(rill_command("trim --before 3 " + stream).output == "2 chunks removed\n");
        CHECK(rill_command("trim --before 3 " + stream).output == "0 chunks removed\n");
        CHECK(rill_command("trim --before last:7 " + stream).output == "1 chunk removed\n");
        CHECK(rill_command("tail --from start " + stream).output == "4\n5\n6\n7\n8\n9\n10\n");
        CHECK(rill_command("trim --before 2000-01-01 " + stream).output == "0 chunks removed\n");
        CHECK(rill_command("trim --json --before 5 " + stream).output ==
              "{\"stream\":\"" + stream + "\",\"removed\":1}\n");
        CHECK(rill_command("trim --before tomorrow " + stream).output == "6 chunks removed\n");
        CHECK(rill_command("trim --before last:0 " + stream).output == "0 chunks removed\n");
        CHECK(rill_command("info " + stream + " | grep -c 'closed  *yes'").output == "1\n");
        CHECK(rill_command("trim --before 1 " + unique("missing")).code == 1);
        CHECK(rill_command("trim --before never " + stream).code == 1);
        CHECK(rill_command("trim " + stream).code == 2);
        CHECK(rill_command("trim --before=-1 " + stream).code == 2);
    }

    TEST_CASE("delete deletes streams, and names those that are not there") {
        const auto a = unique("cli-delete-a");
        const auto b = unique("cli-delete-b");
        CHECK(rill_command("create " + a + " && $RILL create -d \"$DB\" " + b).code == 0);
        const auto outcome = rill_command("delete " + a + " " + a + "x " + b);
        CHECK(outcome.code == 1);
        CHECK(outcome.output == "rill: stream \"" + a + "x\" does not exist, or this role may not see it\n");
        CHECK(rill_command("delete --if-exists " + a + " " + b).code == 0);
        CHECK(rill_command("info " + b).code == 1);
    }

    TEST_CASE("ls takes a prefix, counts only when asked, and prints names alone") {
        const auto prefix = unique("cli-ls");
        CHECK(shell("seq 3 | $RILL append -d \"$DB\" --close " + prefix + "/a; $RILL create -d \"$DB\" " + prefix +
                    "/b; $RILL create -d \"$DB\" x" + prefix)
                  .code == 0);
        CHECK(rill_command("ls -1 " + prefix).output == prefix + "/a\n" + prefix + "/b\n");
        CHECK(rill_command("ls --count " + prefix + " | sed 's/  */ /g; s/ 20.*//'").output ==
              "NAME CHUNKS BYTES HEAD CLOSED LAST\n" + prefix + "/a 3 6 4 yes\n" + prefix + "/b 0 0 0 no -\n");
        CHECK(rill_command("ls " + prefix + " | sed 's/  */ /g; s/ 20.*//'").output ==
              "NAME HEAD CLOSED LAST\n" + prefix + "/a 4 yes\n" + prefix + "/b 0 no -\n");
        CHECK(rill_command("ls --json --count " + prefix + " | grep -c '\"chunks\":3,\"bytes\":6'").output == "1\n");
        CHECK(rill_command("ls --json " + prefix + " | grep -c ',\"chunks\"'").output == "0\n");
        CHECK(rill_command("info --count " + prefix + "/a | grep -c '^chunks  *3$'").output == "1\n");
        CHECK(rill_command("ls " + prefix + "nothing").output == "NAME  HEAD  CLOSED  LAST\n");
    }

    TEST_CASE("tail --from skip:N leaves out the first chunks, also those still to come; a time begins there") {
        const auto stream = unique("cli-skip");
        CHECK(shell("seq 5 | $RILL append -d \"$DB\" " + stream).code == 0);
        CHECK(rill_command("tail --from skip:3 " + stream).output == "4\n5\n");
        CHECK(rill_command("tail --from skip:0 " + stream).output == "1\n2\n3\n4\n5\n");
        CHECK(rill_command("tail --from skip:9 " + stream).output.empty());
        CHECK(rill_command("tail --from tomorrow " + stream).output.empty());
        CHECK(rill_command("tail --from yesterday " + stream).output == "1\n2\n3\n4\n5\n");
        const TemporaryFile out;
        auto tail = std::async(std::launch::async, [&] {
            return shell("$RILL tail -f --from skip:7 -d \"$DB application_name=" + stream + "\" " + stream + " >" +
                         out.name());
        });
        Admin admin;
        CHECK(eventually([&] { return admin.connected(stream); }));
        CHECK(admin.waited_for(stream));
        CHECK(shell("seq 6 10 | $RILL append --close -d \"$DB\" " + stream).code == 0);
        CHECK(tail.get().code == 0);
        CHECK(out.content() == "8\n9\n10\n");
    }
}
