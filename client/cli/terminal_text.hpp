// Text that others wrote (names, messages, metadata) on a terminal: it can neither control it nor look like other text,
// and its width is known. Pure.
//
// Situations it must survive: bytes that are not UTF-8 (a SQL_ASCII database; a terminal may take 0x9b for CSI), C1
// controls that are valid UTF-8, bidirectional controls, which reorder what follows them, and wide characters.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace rill::cli {

enum class Charset { utf8, ascii };

// Control characters, invisible format characters and bytes that are no character become \xNN, \uNNNN or \UNNNNNNNN;
// with ascii, all characters beyond ASCII do.
[[nodiscard]] std::string printable(std::string_view text, Charset charset = Charset::utf8);

// How many columns a terminal needs for text that printable() returned.
[[nodiscard]] std::size_t columns(std::string_view text);

// The text in exactly so many columns: padded with spaces, or cut off with a mark.
[[nodiscard]] std::string fitted(std::string_view text, std::size_t width, Charset charset = Charset::utf8);

}  // namespace rill::cli
