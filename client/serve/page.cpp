// See page.hpp.
#include "page.hpp"

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

namespace rill::serve {
namespace {

constexpr std::string_view kPage =
#include "page_html.inc"
    ;
constexpr std::string_view kNonce = "@nonce@";

// 128 bits that nobody can guess: the library takes them from the processor or the kernel.
std::string fresh_nonce() {
    std::random_device random;
    std::string nonce;
    for (int i = 0; i < 4; ++i)
        for (std::uint32_t bits = random(), digits = 8; digits > 0; --digits, bits >>= 4U)
            nonce += "0123456789abcdef"[bits & 15U];
    return nonce;
}

}  // namespace

Response page() {
    const std::string nonce = fresh_nonce();
    Response response;
    response.with("Content-Type", "text/html; charset=utf-8")
        .with("Cache-Control", "no-store")
        .with("Referrer-Policy", "no-referrer")
        .with("Cross-Origin-Opener-Policy", "same-origin")
        .with("Content-Security-Policy",
              "default-src 'none'; script-src 'nonce-" + nonce + "'; style-src 'nonce-" + nonce +
                  "'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
                  "require-trusted-types-for 'script'; trusted-types 'none'");
    response.body.reserve(kPage.size() + 64);
    for (std::size_t at = 0;;) {
        const std::size_t end = kPage.find(kNonce, at);
        response.body.append(kPage.substr(at, end - at));
        if (end == std::string_view::npos)
            return response;
        response.body.append(nonce);
        at = end + kNonce.size();
    }
}

}  // namespace rill::serve
