// The page at "/": it follows a stream live in a browser. page.html is compiled into the command.
//
// The page is for everybody, since a browser cannot send a token before there is a page to enter it in; it holds no
// data. What it shows comes from this server alone, and is never HTML. Its Content-Security-Policy admits the script
// and the style that carry this answer's nonce: 'self' would admit a stream whose content type is JavaScript.
#pragma once

#include "http.hpp"

namespace rill::serve {

// Thread-safety: any thread.
[[nodiscard]] Response page();

}  // namespace rill::serve
