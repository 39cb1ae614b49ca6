// See tokens.hpp.
#include "tokens.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include <sys/stat.h>

namespace rill::serve {
namespace {

constexpr std::string_view kBlanks = " \t\r";
constexpr std::size_t kShortest = 16;

std::string_view take_word(std::string_view &line) {
    line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
    const std::string_view word = line.substr(0, line.find_first_of(kBlanks));
    line.remove_prefix(word.size());
    return word;
}

// The time depends on the sizes alone.
bool same_text(std::string_view a, std::string_view b) {
    if (a.size() != b.size())
        return false;
    unsigned difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        difference |= static_cast<unsigned>(static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]));
    return difference == 0;
}

}  // namespace

Tokens Tokens::parse(std::string_view text) {
    Tokens tokens;
    for (std::size_t number = 1; !text.empty(); ++number) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        const std::string_view token = take_word(line);
        if (token.empty() || token.starts_with('#'))
            continue;
        const std::string_view role = take_word(line);
        const auto refuse = [number](const char *why) {
            throw std::runtime_error("line " + std::to_string(number) + " of the tokens " + why);
        };
        if (role.empty() || !take_word(line).empty())
            refuse("is not a token and a role");
        // SET ROLE takes it for "no other role": the rights would be those of rill serve itself.
        if (role == "none")
            refuse("names no role");
        if (token.size() < kShortest)
            refuse("has a token of less than 16 characters");
        if (!std::ranges::all_of(token, [](char c) { return c > ' ' && c <= '~'; }))
            refuse("has a token with characters that a header cannot carry");
        for (const auto &[known, its_role] : tokens.entries_)
            if (known == token)
                refuse("repeats a token");
        tokens.entries_.emplace_back(token, role);
    }
    if (tokens.entries_.empty())
        throw std::runtime_error("there are no tokens");
    return tokens;
}

Tokens Tokens::read_file(const std::string &path) {
    struct stat status {};
    std::ifstream file(path, std::ios::binary);
    if (!file || ::stat(path.c_str(), &status) != 0)
        throw std::runtime_error("cannot read the tokens in " + path);
    if ((status.st_mode & S_IROTH) != 0)
        throw std::runtime_error("everybody can read the tokens in " + path + " (chmod o-r)");
    const std::string text(std::istreambuf_iterator<char>(file), {});
    return parse(text);
}

std::optional<std::string> Tokens::role_of(std::string_view authorization) const {
    constexpr std::string_view kScheme = "bearer ";
    const auto lower = [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); };
    if (authorization.size() <= kScheme.size() ||
        !std::ranges::equal(authorization.substr(0, kScheme.size()), kScheme, {}, lower))
        return std::nullopt;
    std::string_view token = authorization.substr(kScheme.size());
    token = take_word(token);
    const std::string *role = nullptr;
    for (const auto &[known, its_role] : entries_)
        if (same_text(known, token))
            role = &its_role;
    return role == nullptr ? std::nullopt : std::optional(*role);
}

std::set<std::string> Tokens::roles() const {
    std::set<std::string> roles;
    for (const auto &[token, role] : entries_)
        roles.insert(role);
    return roles;
}

}  // namespace rill::serve
