// See help.hpp.
#include "help.hpp"

#include <vector>

namespace rill::cli {
namespace {

constexpr std::size_t kWidth = 80;
constexpr std::size_t kIndent = 28;

// A name at the left, its text at the right, below it where the name is long.
void add_entry(std::string &out, const std::string &name, const std::string &text) {
    out += "  " + name;
    std::size_t column = name.size() + 2;
    if (column + 2 > kIndent) {
        out += '\n';
        column = 0;
    }
    for (const std::string &line : wrapped(text, kWidth - kIndent)) {
        out += std::string(kIndent - column, ' ') + line + "\n";
        column = 0;
    }
    if (column != 0)
        out += '\n';
}

std::string names_of(const OptionDoc &option) {
    std::string out;
    for (const auto &name : option.names)
        out += (out.empty() ? "" : ", ") + name;
    // A long name alone stands below the long ones of the others.
    if (option.names.front().starts_with("--"))
        out.insert(0, 4, ' ');
    return option.value.empty() ? out : out + " " + option.value;
}

void add_options(std::string &out, const std::vector<OptionDoc> &options) {
    std::vector<std::string> groups;
    for (const auto &option : options)
        if (std::find(groups.begin(), groups.end(), option.group) == groups.end())
            groups.push_back(option.group);
    for (const auto &group : groups) {
        out += "\n" + group + ":\n";
        for (const auto &option : options)
            if (option.group == group)
                add_entry(out, names_of(option), option.text);
    }
}

}  // namespace

std::string help_text(const CLI::App &app) {
    const CommandDoc doc = describe(app);
    std::string summary = doc.summary;
    if (doc.title != doc.name)
        summary = doc.title + ": " + summary;
    std::string out = summary + "\n\nUsage: " + synopsis(doc) + "\n";
    const auto all = commands(app);
    if (!all.empty()) {
        out += "\nCommands:\n";
        for (const CLI::App *const command : all)
            add_entry(out, command->get_name(), command->get_description());
    }
    if (!doc.positionals.empty()) {
        out += "\nArguments:\n";
        for (const auto &positional : doc.positionals)
            add_entry(out, positional.names.front(), positional.text);
    }
    add_options(out, doc.options);
    for (const auto &paragraph : doc.paragraphs) {
        out += '\n';
        for (const auto &line : wrapped(paragraph, kWidth))
            out += line + "\n";
    }
    if (!doc.examples.empty()) {
        out += "\nExamples:\n";
        for (const auto &example : doc.examples)
            out += "  " + example + "\n";
    }
    if (doc.title != doc.name)
        out += "\nConnection options: rill --help\n";
    return out;
}

}  // namespace rill::cli
