// Subscriptions and pages for tests without a server.
#pragma once

#include "mailbox.hpp"
#include "subscription.hpp"

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

namespace rill::test {

class Subscriptions {
public:
    static constexpr detail::BufferLimits kRoomy{1000, 1 << 20};

    // What is posted and never taken holds the mailbox that holds it; a client's loop takes everything in the end.
    ~Subscriptions() {
        mailbox->close();
        while (mailbox->take()) {
        }
    }

    [[nodiscard]] std::shared_ptr<detail::Subscription> make(const std::string &stream, Position start = {},
                                                             detail::BufferLimits limits = kRoomy) const {
        return std::make_shared<detail::Subscription>(stream, start, mailbox, limits);
    }

    std::shared_ptr<detail::Mailbox> mailbox = std::make_shared<detail::Mailbox>();
};

// A page of `chunks` chunks from `id` on (below 128), all with the same data, of epoch 0 and at time 0.
[[nodiscard]] inline detail::Page page_of(int chunks, std::int64_t id, const std::string &data, bool eof = false) {
    std::string bytes = "\1";
    bytes += static_cast<char>(chunks);
    for (int i = 0; i < chunks; ++i) {
        const bool first = i == 0;
        bytes += static_cast<char>((eof && i + 1 == chunks ? 1 : 0) + (first ? 2 : 0));
        bytes += static_cast<char>(first ? id : 1);
        bytes += std::string(first ? 5 : 1, '\0');  // the epoch, and the time
        bytes += static_cast<char>(data.size()) + data;
    }
    auto copy = std::make_shared<std::byte[]>(bytes.size());
    std::memcpy(copy.get(), bytes.data(), bytes.size());
    return {std::move(copy), bytes.size(), static_cast<std::uint64_t>(chunks)};
}

[[nodiscard]] inline detail::Page page(std::int64_t id, const std::string &data, bool eof = false) {
    return page_of(1, id, data, eof);
}

}  // namespace rill::test
