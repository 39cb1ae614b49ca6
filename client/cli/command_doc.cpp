// See command_doc.hpp.
#include "command_doc.hpp"

#include <algorithm>

namespace rill::cli {
namespace {

OptionDoc describe_option(const CLI::Option &option) {
    OptionDoc doc{.names = {},
                  .value = {},
                  .text = option.get_description(),
                  .group = option.get_group(),
                  .required = option.get_required(),
                  .many = option.get_expected_max() > 1};
    if (option.get_positional()) {
        doc.names.push_back(option.get_name(true));
        doc.value = option.get_name(true);
        return doc;
    }
    for (const auto &name : option.get_snames())
        doc.names.push_back("-" + name);
    for (const auto &name : option.get_lnames())
        doc.names.push_back("--" + name);
    if (option.get_type_size_max() > 0)
        doc.value = option.get_type_name();
    return doc;
}

// The footer: paragraphs, and behind "Examples:" indented lines.
void describe_footer(const std::string &footer, CommandDoc &doc) {
    bool in_examples = false;
    for (std::size_t at = 0; at < footer.size();) {
        const std::size_t end = std::min(footer.find('\n', at), footer.size());
        std::string line = footer.substr(at, end - at);
        at = end + 1;
        if (line.empty())
            continue;
        if (line == "Examples:")
            in_examples = true;
        else if (in_examples)
            doc.examples.push_back(line.substr(std::min(line.find_first_not_of(' '), line.size())));
        else
            doc.paragraphs.push_back(std::move(line));
    }
}

}  // namespace

CommandDoc describe(const CLI::App &app) {
    const bool whole = app.get_parent() == nullptr;
    CommandDoc doc;
    doc.name = app.get_name();
    doc.title = whole ? doc.name : app.get_parent()->get_name() + " " + doc.name;
    doc.summary = app.get_description();
    for (const CLI::Option *const option : app.get_options())
        (option->get_positional() ? doc.positionals : doc.options).push_back(describe_option(*option));
    describe_footer(app.get_footer(), doc);
    return doc;
}

std::vector<const CLI::App *> commands(const CLI::App &app) {
    return app.get_subcommands([](const CLI::App *command) { return !command->get_group().empty(); });
}

std::vector<std::string> command_names(const CLI::App &app) {
    std::vector<std::string> names;
    for (const CLI::App *const command : commands(app))
        names.push_back(command->get_name());
    return names;
}

const CLI::App *find_command(const CLI::App &app, std::string_view name) {
    const auto all = commands(app);
    const auto found =
        std::ranges::find_if(all, [name](const CLI::App *command) { return command->get_name() == name; });
    return found == all.end() ? nullptr : *found;
}

std::vector<std::string> option_names(const CLI::App &app) {
    std::vector<std::string> names;
    for (const OptionDoc &option : describe(app).options)
        names.insert(names.end(), option.names.begin(), option.names.end());
    return names;
}

std::string synopsis(const CommandDoc &doc) {
    std::string out = doc.title + " [OPTION]...";
    if (doc.name == doc.title)
        out += " COMMAND [ARGUMENT]...";
    for (const OptionDoc &option : doc.options)
        if (option.required)
            out += " " + option.names.back() + " " + option.value;
    for (const OptionDoc &positional : doc.positionals) {
        const std::string &name = positional.names.front();
        out += (positional.required ? " " + name : " [" + name + "]") + (positional.many ? "..." : "");
    }
    return out;
}

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        std::size_t end = text.size();
        if (end > width) {
            end = text.rfind(' ', width);
            if (end == std::string_view::npos || end == 0)
                end = std::min(text.find(' '), text.size());
        }
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

}  // namespace rill::cli
