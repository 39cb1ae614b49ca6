// See shell.hpp.
#include "shell.hpp"

#include "server.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <sys/wait.h>
#include <unistd.h>

namespace rill::test {

Outcome shell(const std::string &script) {
    if (!no_server())
        ::setenv("DB", conninfo().c_str(), 1);
    FILE *const pipe = ::popen(script.c_str(), "r");
    REQUIRE(pipe != nullptr);
    std::string output;
    std::array<char, 4096> buffer{};
    for (std::size_t got = 0; (got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
        output.append(buffer.data(), got);
    const int status = ::pclose(pipe);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), output};
}

Outcome rill_command(const std::string &arguments) {
    return shell("timeout 60 $RILL -d \"$DB\" " + arguments + " 2>&1");
}

bool has_terminals() {
    const bool has = shell("script -qec true /dev/null").code == 0;
    if (!has)
        MESSAGE("skipped: this system has no pseudo-terminals");
    return has;
}

TemporaryFile::TemporaryFile(const std::string &content) : name_("/tmp/" + unique("rill-test")) {
    std::ofstream(name_, std::ios::binary) << content;
}

TemporaryFile::~TemporaryFile() { ::unlink(name_.c_str()); }

std::string TemporaryFile::content() const {
    std::ostringstream all;
    all << std::ifstream(name_, std::ios::binary).rdbuf();
    return all.str();
}

}  // namespace rill::test
