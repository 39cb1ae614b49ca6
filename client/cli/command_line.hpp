// The commands and options of `rill`, once: CLI11 reads the arguments by them, and the help, the manual pages and the
// completion are made from them.
#pragma once

#include "commands.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace rill::cli {

// The arguments were wrong. The message is for the user; the exit code is 2.
struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class CommandLine {
public:
    CommandLine();
    CommandLine(const CommandLine &) = delete;
    CommandLine &operator=(const CommandLine &) = delete;

    // Runs what the arguments say, and returns the exit code. Throws UsageError, and whatever the command throws.
    int run(int argc, char **argv);

    [[nodiscard]] const CLI::App &app() const noexcept { return app_; }

private:
    CLI::App *command(const std::string &name, const std::string &summary, std::function<int()> action);
    void add_writing();
    void add_reading();
    void add_keeping();
    void add_looking();
    void add_serving();
    void add_help();
    [[noreturn]] void throw_unexpected();
    void unmark_all();

    CLI::App app_;
    std::map<const CLI::App *, std::function<int()>> actions_;
    // What stands for names of streams, and everything else that a bracket may begin.
    std::vector<std::string *> words_;
    std::vector<std::vector<std::string> *> lists_;
    std::vector<std::optional<std::string> *> optionals_;
    std::vector<const std::string *> stream_names_;
    std::vector<const std::vector<std::string> *> stream_lists_;

    bool version_ = false;
    bool no_password_ = false;  // psql's; there is never a prompt
    ConnectionOptions connection_;
    AppendOptions append_;
    TailOptions tail_;
    std::string close_stream_;
    CreateOptions create_;
    TrimOptions trim_;
    DeleteOptions delete_;
    ListOptions list_;
    InfoOptions info_;
    TopOptions top_;
    ServeOptions serve_;
    std::string from_ = "last:10";
    std::string before_;
    std::string topic_;
    std::vector<std::string> generate_;
};

}  // namespace rill::cli
