// See completion.hpp.
//
// Situations it must survive: names and values with a colon, at which bash breaks words; a server that does not answer
// (asked for two seconds, and no names then); no completion package installed.
#include "completion.hpp"

#include <algorithm>
#include <vector>

namespace rill::cli {
namespace {

// The words among alternatives such as "start|last:N|TIME": those that are not a place for a value.
std::vector<std::string> words_of(const std::string &value) {
    std::vector<std::string> words;
    if (value.find('|') == std::string::npos)
        return words;
    for (std::size_t at = 0; at <= value.size();) {
        const std::size_t end = std::min(value.find('|', at), value.size());
        std::string word = value.substr(at, end - at);
        word.erase(std::find_if(word.begin(), word.end(), [](char c) { return c >= 'A' && c <= 'Z'; }), word.end());
        if (!word.empty())
            words.push_back(std::move(word));
        at = end + 1;
    }
    return words;
}

bool is_stream(const std::string &value) { return value == "STREAM" || value == "PREFIX"; }

std::string joined(const std::vector<std::string> &words, const std::string &between) {
    std::string out;
    for (const auto &word : words)
        out += (out.empty() ? "" : between) + word;
    return out;
}

// The bash statement that completes a value of this kind.
std::string bash_value(const std::string &value, const std::vector<std::string> &commands) {
    if (is_stream(value))
        return "_rill_streams";
    if (value == "FILE")
        return "_rill_files";
    if (value == "COMMAND")
        return "_rill_words " + joined(commands, " ");
    const auto words = words_of(value);
    return words.empty() ? ":" : "_rill_words " + joined(words, " ");
}

constexpr const char *kBashHead = R"(# bash completion for rill
# Uses: line, current, command, arguments, connection of _rill.
_rill_words() {
    local word
    for word in "$@"; do
        [[ $word != "$current"* ]] || COMPREPLY+=("$word")
    done
}
_rill_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
}
_rill_streams() {
    local name
    while IFS= read -r name; do
        printf -v name %q "$name"
        [[ $name != "$current"* ]] || COMPREPLY+=("$name")
    done < <(timeout 2 "${words[0]}" "${connection[@]}" ls --names -- "$current" 2>/dev/null | head -n 1000)
}
_rill() {
    local line=${COMP_LINE:0:COMP_POINT} current='' command='' arguments=0 connection=() words=() previous i word head
    COMPREPLY=()
    read -ra words <<<"$line"
    if [[ $line != *[[:space:]] ]]; then
        current=${words[-1]}
        unset 'words[-1]'
    fi
    for ((i = 1; i < ${#words[@]}; i++)); do
        word=${words[i]}
        case $word in
)";

constexpr const char *kBashTail =
    R"(    # bash has broken the word at the last colon or equals sign, and replaces only what follows it.
    if [[ $current == *[:=]* && $COMP_WORDBREAKS == *:* ]]; then
        head=${current%"${current##*[:=]}"}
        for i in "${!COMPREPLY[@]}"; do
            COMPREPLY[i]=${COMPREPLY[i]#"$head"}
        done
    fi
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *: ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -F _rill rill
)";

std::string patterns(const std::vector<OptionDoc> &options, bool with_value, const std::string &prefix = {}) {
    std::vector<std::string> all;
    for (const auto &option : options)
        if (option.value.empty() != with_value)
            for (const auto &name : option.names)
                all.push_back(prefix.empty() ? name : "'" + prefix + " " + name + "'");
    return joined(all, " | ");
}

// Quoted, since "-?" is a pattern.
std::vector<std::string> names_of(const std::vector<OptionDoc> &options) {
    std::vector<std::string> names;
    for (const auto &option : options)
        for (const auto &name : option.names)
            names.push_back("'" + name + "'");
    return names;
}

// Of the whole: only these stand on the line of any command.
std::vector<OptionDoc> connection_options(const CommandDoc &whole) {
    std::vector<OptionDoc> options = whole.options;
    std::erase_if(options, [](const OptionDoc &option) { return option.group == "Options"; });
    return options;
}

// For zsh: inside brackets or between colons, and inside single quotes.
std::string zsh_escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == ':' || c == '[' || c == ']' || c == '\\')
            out += '\\';
        out += c;
        if (c == '\'')
            out += "\\''";
    }
    return out;
}

std::string zsh_value(const std::string &value) {
    if (is_stream(value))
        return "_rill_streams";
    if (value == "FILE")
        return "_files";
    if (value == "COMMAND")
        return "_rill_commands";
    std::vector<std::string> words = words_of(value);
    std::ranges::transform(words, words.begin(), [](const std::string &word) { return zsh_escaped(word); });
    return words.empty() ? " " : "(" + joined(words, " ") + ")";
}

std::string zsh_option(const OptionDoc &option) {
    const std::string names = joined(option.names, " ");
    std::string out =
        option.names.size() > 1 ? "'(" + names + ")'{" + joined(names_of({option}), ",") + "}'" : "'" + names;
    if (option.value.size() > 0 && option.names.size() == 1)
        out += "=";
    out += "[" + zsh_escaped(option.text) + "]";
    if (!option.value.empty())
        out +=
            ":" + zsh_escaped(words_of(option.value).empty() ? option.value : "value") + ":" + zsh_value(option.value);
    return out + "'";
}

}  // namespace

std::string bash_completion(const CLI::App &app) {
    const CommandDoc whole = describe(app);
    const auto connection = connection_options(whole);
    std::vector<std::string> names = command_names(app);
    std::string out = kBashHead;
    out += "        " + patterns(connection, true) + ")\n";
    out += "            connection+=(\"$word\" \"${words[++i]:-}\") ;;\n";
    out += "        -*)\n            case \"$command $word\" in\n";
    for (const CLI::App *const command : commands(app)) {
        const CommandDoc doc = describe(*command);
        if (const std::string pattern = patterns(doc.options, true, doc.name); !pattern.empty())
            out += "            " + pattern + ") ((++i)) ;;\n";
    }
    out += "            esac ;;\n";
    out += "        *) if [[ -z $command ]]; then command=$word; else ((++arguments)); fi ;;\n        esac\n    done\n";
    out += "    previous=${words[-1]}\n    case \"$command $previous\" in\n";
    for (const auto &option : connection)
        if (!option.value.empty())
            for (const auto &name : option.names)
                out += "    *' " + name + "') return ;;\n";
    for (const CLI::App *const command : commands(app)) {
        const CommandDoc doc = describe(*command);
        for (const auto &option : doc.options)
            if (!option.value.empty())
                for (const auto &name : option.names)
                    out += "    '" + doc.name + " " + name + "') " + bash_value(option.value, names) + " ;;\n";
    }
    out += "    *)\n        if [[ $current == -* ]]; then\n            case $command in\n";
    out += "            '') _rill_words " + joined(names_of(whole.options), " ") + " ;;\n";
    for (const CLI::App *const command : commands(app)) {
        std::vector<std::string> all = names_of(describe(*command).options);
        for (const auto &name : names_of(connection))
            all.push_back(name);
        out += "            " + command->get_name() + ") _rill_words " + joined(all, " ") + " ;;\n";
    }
    out += "            esac\n        else\n            case \"$command $arguments\" in\n";
    out += "            ' 0') _rill_words " + joined(names, " ") + " ;;\n";
    for (const CLI::App *const command : commands(app)) {
        const CommandDoc doc = describe(*command);
        for (std::size_t i = 0; i < doc.positionals.size(); ++i) {
            const OptionDoc &positional = doc.positionals[i];
            const std::string place = positional.many ? "*" : std::to_string(i);
            out += "            '" + doc.name + " '" + place + ") " + bash_value(positional.value, names) + " ;;\n";
        }
    }
    out += "            esac\n        fi ;;\n    esac\n";
    return out + kBashTail;
}

std::string zsh_completion(const CLI::App &app) {
    const CommandDoc whole = describe(app);
    std::string out = "#compdef rill\n\n_rill_commands() {\n    local -a commands=(\n";
    for (const CLI::App *const command : commands(app))
        out += "        '" + command->get_name() + ":" + zsh_escaped(command->get_description()) + "'\n";
    out += "    )\n    _describe command commands\n}\n\n";
    out += R"(_rill_streams() {
    local -a names given
    local i
    for ((i = 2; i < CURRENT; i++)); do
        case $words[i] in
        -h|--host|-p|--port|-U|--username|-d|--dbname) given+=("$words[i]" "${(Q)words[i + 1]}") ;;
        esac
    done
    names=("${(@f)$(timeout 2 rill $rill_connection $given ls --names -- "$PREFIX" 2>/dev/null | head -n 1000)}")
    [[ -z $names ]] || compadd -a names
}

_rill() {
    local context state line rill_command
    local -a connection rill_connection
    typeset -A opt_args
    connection=(
)";
    for (const auto &option : connection_options(whole))
        out += "        " + zsh_option(option) + "\n";
    out += "    )\n    _arguments -C -S $connection \\\n";
    for (const auto &option : whole.options)
        if (option.group == "Options")
            out += "        " + zsh_option(option) + " \\\n";
    out += R"(        '1:command:_rill_commands' '*::argument:->arguments'
    [[ $state == arguments ]] || return
    for state in -h --host -p --port -U --username -d --dbname; do
        [[ -z $opt_args[$state] ]] || rill_connection+=("$state" "${(Q)opt_args[$state]}")
    done
    case $line[1] in
)";
    for (const CLI::App *const command : commands(app)) {
        const CommandDoc doc = describe(*command);
        out += "    " + doc.name + ")\n        _arguments -S $connection";
        for (const auto &option : doc.options)
            out += " \\\n            " + zsh_option(option);
        for (std::size_t i = 0; i < doc.positionals.size(); ++i) {
            const OptionDoc &positional = doc.positionals[i];
            const std::string place = positional.many ? "*" : std::to_string(i + 1);
            out += " \\\n            '" + place + ":" + zsh_escaped(positional.value) + ":" +
                   zsh_value(positional.value) + "'";
        }
        out += " ;;\n";
    }
    return out + "    esac\n}\n\n_rill \"$@\"\n";
}

}  // namespace rill::cli
