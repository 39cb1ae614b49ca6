// The help, the manual pages and the completion say the same: all are made from the option tables.
// RILL is the program's path; the pages and the completion stand beside it, where the build puts them.
#include "server.hpp"
#include "shell.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <utility>

using namespace rill::test;

namespace {

using Words = std::set<std::string>;

Words words_of(const std::string &text) {
    std::istringstream in(text);
    Words words;
    for (std::string word; in >> word;)
        words.insert(word);
    return words;
}

std::string read_file(const std::filesystem::path &path) {
    std::ostringstream all;
    all << std::ifstream(path, std::ios::binary).rdbuf();
    return all.str();
}

std::filesystem::path built() { return std::filesystem::path(std::getenv("RILL")).parent_path(); }

// The names of options with which lines begin, behind `mark`: "  -f, --follow WHAT  text".
Words options_in(const std::string &text, const std::string &mark) {
    std::istringstream lines(text);
    Words options;
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with(mark))
            continue;
        std::istringstream words(line.substr(mark.size()));
        for (std::string word; words >> word && word.starts_with('-');)
            options.insert(word.substr(0, word.find(',')));
    }
    return options;
}

// A manual page without the marks of troff.
std::string without_marks(std::string page) {
    for (const char *const mark : {"\\fB", "\\fR", "\\fI", "\\"})
        for (auto at = page.find(mark); at != std::string::npos; at = page.find(mark, at))
            page.erase(at, std::string(mark).size());
    return page;
}

// What bash offers at the end of this line.
Words completed(const std::string &line) {
    return words_of(
        shell("cd / && bash --norc -c 'COMP_WORDBREAKS=$1; source \"$2\"; COMP_LINE=$3 COMP_POINT=${#3}; _rill; "
              "printf \"%s\\n\" \"${COMPREPLY[@]}\"' - ' :=' '" +
              (built() / "completion/bash/rill").string() + "' \"" + line + "\"")
            .output);
}

}  // namespace

TEST_CASE("rill help, the manual pages and the completion agree") {
    const Words commands = words_of(shell("$RILL generate commands").output);
    CHECK(commands.size() >= 10);
    CHECK(commands == words_of(shell("$RILL help | sed -n '/^Commands:/,/^$/s/^  \\([a-z][a-z]*\\) .*/\\1/p'").output));
    CHECK(commands == completed("rill "));
    Words pages;
    for (const auto &file : std::filesystem::directory_iterator(built() / "man"))
        if (file.path().extension() == ".1" && file.path().stem() != "rill")
            pages.insert(file.path().stem().string().substr(5));
    CHECK(pages == commands);

    const std::string whole = shell("$RILL help").output;
    CHECK(whole == shell("$RILL --help").output);
    const Words connection{"-h", "--host", "-p", "--port", "-U", "--username", "-d", "--dbname", "-w", "--no-password"};
    for (const auto &command : commands) {
        CAPTURE(command);
        const std::string help = shell("$RILL help " + command).output;
        CHECK(help == shell("$RILL " + command + " --help").output);
        Words options = options_in(help, "  ");
        CHECK(options.contains("--help"));
        const std::string page = read_file(built() / "man" / ("rill-" + command + ".1"));
        CHECK(page == shell("$RILL generate man " + command).output);
        const Words tags = options_in(without_marks(page), "");
        CHECK(tags == options);
        CHECK(read_file(built() / "man/rill.1").find("rill\\-" + command + "\\fR(1)") != std::string::npos);
        options.insert(connection.begin(), connection.end());
        CHECK(completed("rill " + command + " -") == options);
        const std::string zsh = read_file(built() / "completion/zsh/_rill");
        const auto begin = zsh.find("\n    " + command + ")\n");
        REQUIRE(begin != std::string::npos);
        const std::string section = zsh.substr(begin, zsh.find(";;", begin) - begin);
        for (const auto &option : options_in(help, "  "))
            CHECK((section.find("'" + option) != std::string::npos));
    }
    if (shell("man --version >/dev/null 2>&1").code == 0)
        CHECK(shell("LC_ALL=C.UTF-8 MANROFFSEQ= man --warnings -l -Tutf8 -Z '" + (built() / "man/rill.1").string() +
                    "' '" + (built() / "man/rill-tail.1").string() + "' 2>&1 >/dev/null")
                  .output == "");
}

TEST_CASE("values are completed: words, files, commands, and nothing where nothing is known") {
    CHECK(completed("rill tail --from ") == Words{"start", "now", "last:", "skip:", "id:"});
    CHECK(completed("rill tail --from s") == Words{"start", "skip:"});
    CHECK(completed("rill top --sort r") == Words{"rate", "readers"});
    CHECK(completed("rill -p 1 help t") == Words{"tail", "trim", "top"});
    CHECK(completed("rill append s /etc/passw").contains("/etc/passwd"));
    CHECK(completed("rill --port ").empty());
    CHECK(completed("rill create s --max-age ").empty());
    CHECK(completed("rill nonsense ").empty());
    CHECK(completed("rill -").contains("--version"));
    // With a server that is not there, no names, and no waiting.
    CHECK(completed("$RILL -h /nonexistent tail ").empty());
    CHECK(shell("bash -n '" + (built() / "completion/bash/rill").string() + "'").code == 0);
    if (shell("zsh --version >/dev/null 2>&1").code == 0)
        CHECK(shell("zsh -n '" + (built() / "completion/zsh/_rill").string() + "'").code == 0);
}

TEST_SUITE("server" * doctest::skip(no_server())) {
    TEST_CASE("names of streams are completed from the server on the line, also those with a colon") {
        CHECK(
            shell(
                "for s in complete:a complete:b 'complete c'; do $RILL create --if-not-exists -d \"$DB\" \"$s\"; done")
                .code == 0);
        std::string connected = "$RILL";
        for (const auto &word : words_of(conninfo())) {
            const std::string value = word.substr(word.find('=') + 1);
            for (const auto &[keyword, option] :
                 {std::pair("host", "-h"), std::pair("port", "-p"), std::pair("user", "-U"), std::pair("dbname", "-d")})
                if (word.starts_with(keyword))
                    connected.append(" ").append(option).append(" ").append(value);
        }
        // What follows a colon replaces what followed it.
        CHECK(completed(connected + " tail complete:") == Words{"a", "b"});
        CHECK(completed(connected + " info comp") == Words{"complete:a", "complete:b", "complete\\", "c"});
    }
}
