// Who may use the server: bearer tokens, and the database role whose rights each of them has.
//
// The file has one token and one role a line, with blanks between them; empty lines and lines that begin with # do not
// count. A token is compared with every known one, byte by byte to its end, so the time tells nothing of how much of it
// is right. Tokens are in no message and no log.
//
// Thread-safety: immutable.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rill::serve {

class Tokens {
public:
    // Throws std::runtime_error that names the line: one without a role or with the role "none", a token of less than
    // 16 characters or of characters that a header cannot carry, a token twice.
    [[nodiscard]] static Tokens parse(std::string_view text);
    // The same for a file. It must not be readable by everybody.
    [[nodiscard]] static Tokens read_file(const std::string &path);

    // Of an Authorization header. nullopt: none of the tokens.
    [[nodiscard]] std::optional<std::string> role_of(std::string_view authorization) const;
    [[nodiscard]] std::set<std::string> roles() const;

private:
    std::vector<std::pair<std::string, std::string>> entries_;
};

}  // namespace rill::serve
