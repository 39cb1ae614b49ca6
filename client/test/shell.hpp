// Scripts for the tests of the rill command, run as a user runs them, and files for them.
#pragma once

#include <string>

namespace rill::test {

struct Outcome {
    int code;
    std::string output;
};

// Runs a script in a shell, with $RILL, the program's path, and $DB, the connection string, if there is a server.
[[nodiscard]] Outcome shell(const std::string &script);

// $RILL with these arguments on that server, for at most a minute; standard error is in the output.
[[nodiscard]] Outcome rill_command(const std::string &arguments);

// True where scripts can have a pseudo-terminal: script(1) works.
[[nodiscard]] bool has_terminals();

class TemporaryFile {
public:
    explicit TemporaryFile(const std::string &content = {});
    TemporaryFile(const TemporaryFile &) = delete;
    TemporaryFile &operator=(const TemporaryFile &) = delete;
    ~TemporaryFile();
    [[nodiscard]] const std::string &name() const { return name_; }
    [[nodiscard]] std::string content() const;

private:
    std::string name_;
};

}  // namespace rill::test
