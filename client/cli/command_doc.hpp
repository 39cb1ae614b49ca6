// What the option tables say of a command, in a form that the help, the manual pages and the completion print.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <CLI/App.hpp>

namespace rill::cli {

struct OptionDoc {
    std::vector<std::string> names;  // with their dashes; for a positional argument its one name
    std::string value;               // the kind of its value; empty for a flag
    std::string text;
    std::string group;
    bool required;
    bool many;
};

struct CommandDoc {
    std::string name;   // "tail"; of the whole, "rill"
    std::string title;  // "rill tail"
    std::string summary;
    std::vector<OptionDoc> positionals;
    std::vector<OptionDoc> options;
    std::vector<std::string> paragraphs;
    std::vector<std::string> examples;  // lines
};

[[nodiscard]] CommandDoc describe(const CLI::App &app);

// The commands that are not hidden, in the order of the tables.
[[nodiscard]] std::vector<const CLI::App *> commands(const CLI::App &app);
[[nodiscard]] std::vector<std::string> command_names(const CLI::App &app);
// nullptr if there is none.
[[nodiscard]] const CLI::App *find_command(const CLI::App &app, std::string_view name);
// All names with their dashes.
[[nodiscard]] std::vector<std::string> option_names(const CLI::App &app);

// "rill tail [OPTION]... STREAM..."
[[nodiscard]] std::string synopsis(const CommandDoc &doc);

// The text broken into lines of at most `width` characters.
[[nodiscard]] std::vector<std::string> wrapped(std::string_view text, std::size_t width);

}  // namespace rill::cli
