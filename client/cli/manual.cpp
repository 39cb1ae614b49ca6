// See manual.hpp.
//
// Situations it must survive: a line of text that begins with a dot or an apostrophe (a request for troff), and
// hyphens, backslashes and quotes that must come out as they are, so that they can be copied from the page.
#include "manual.hpp"

#include <algorithm>
#include <cctype>

namespace rill::cli {
namespace {

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else if (c == '\'')
            out += "\\(aq";
        else if (c == '^')
            out += "\\(ha";
        else if (c == '~')
            out += "\\(ti";
        else if (c == '`')
            out += "\\(ga";
        else
            out += c;
    }
    return out.starts_with('.') ? "\\&" + out : out;
}

std::string line(std::string_view text) { return escaped(text) + "\n"; }

std::string upper(std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return text;
}

std::string option_tag(const OptionDoc &option) {
    std::string out;
    for (const auto &name : option.names)
        out += (out.empty() ? "" : ", ") + ("\\fB" + escaped(name) + "\\fR");
    return option.value.empty() ? out : out + " \\fI" + escaped(option.value) + "\\fR";
}

std::string entry(const std::string &tag, const std::string &text) { return ".TP\n" + tag + "\n" + line(text); }

std::string option_sections(const CommandDoc &doc) {
    std::string out;
    std::vector<std::string> groups;
    for (const auto &option : doc.options)
        if (std::ranges::find(groups, option.group) == groups.end())
            groups.push_back(option.group);
    for (const auto &group : groups) {
        out += ".SH " + upper(group) + "\n";
        for (const auto &option : doc.options)
            if (option.group == group)
                out += entry(option_tag(option), option.text);
    }
    return out;
}

}  // namespace

std::string manual_page(const CLI::App &app, const std::string &version) {
    const CommandDoc doc = describe(app);
    const bool whole = doc.title == doc.name;
    std::string page = doc.title;
    std::ranges::replace(page, ' ', '-');
    std::string out = ".TH " + upper(page) + " 1 \"\" \"pg_rill " + version + "\" \"pg_rill\"\n";
    out += ".SH NAME\n" + escaped(page) + " \\- " + line(doc.summary);
    out += ".SH SYNOPSIS\n\\fB" + escaped(doc.title) + "\\fR" + line(synopsis(doc).substr(doc.title.size()));
    if (!doc.paragraphs.empty()) {
        out += ".SH DESCRIPTION\n";
        for (const auto &paragraph : doc.paragraphs)
            out += ".PP\n" + line(paragraph);
    }
    if (whole) {
        out += ".SH COMMANDS\n";
        for (const CLI::App *const command : commands(app))
            out += entry("\\fBrill\\-" + escaped(command->get_name()) + "\\fR(1)", command->get_description());
    }
    if (!doc.positionals.empty()) {
        out += ".SH ARGUMENTS\n";
        for (const auto &positional : doc.positionals)
            out += entry("\\fI" + escaped(positional.names.front()) + "\\fR", positional.text);
    }
    out += option_sections(doc);
    if (!doc.examples.empty()) {
        out += ".SH EXAMPLES\n.EX\n";
        for (const auto &example : doc.examples)
            out += line(example);
        out += ".EE\n";
    }
    out += ".SH EXIT STATUS\n0 on success, 1 on failure, with one line on standard error, and 2 on wrong usage. "
           "A signal that ends the command adds its number to 128.\n";
    if (whole)
        out += ".SH ENVIRONMENT\n.TP\n\\fBPGHOST\\fR, \\fBPGPORT\\fR, \\fBPGUSER\\fR, \\fBPGDATABASE\\fR, "
               "\\fBPGSERVICE\\fR and others\nConnection options that are left out, as for\n.BR psql (1).\n"
               ".TP\n\\fBNO_COLOR\\fR\nIf set and not empty, nothing is coloured.\n";
    out += ".SH SEE ALSO\n";
    out += whole ? ".BR psql (1)\n" : ".BR rill (1)\n";
    return out;
}

}  // namespace rill::cli
