// Decoder of the packed page of chunks that the server's stream_fetch returns (format version 1).
//
// Pure: no libpq, no allocation, no exception. No byte is trusted: a page that is truncated or too long, has an unknown
// version or flag, or whose ids or times overflow, gives `malformed` and never undefined behaviour. Layout: version
// byte, chunk count, then per chunk: flags, id step, [epoch], time step, length, data; integers are LEB128 varints, the
// epoch is four bytes little-endian, time steps are zigzag microseconds since 2000.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>

namespace rill::detail {

struct PageChunk {
    std::int64_t id = 0;
    std::int64_t appended_at = 0;  // microseconds since 2000-01-01 00:00:00 UTC
    std::int32_t epoch = 0;
    bool eof = false;
    std::span<const std::byte> data;
};

class PageReader {
public:
    enum class Step { chunk, end, malformed };

    static constexpr std::byte kVersion{1};
    static constexpr std::byte kFlagEof{1};
    static constexpr std::byte kFlagEpoch{2};

    PageReader() = default;

    explicit PageReader(std::span<const std::byte> page) noexcept : rest_(page) {
        if (rest_.empty() || rest_[0] != kVersion) {
            bad_ = true;
            return;
        }
        rest_ = rest_.subspan(1);
        std::uint64_t count = 0;
        if (!varint(count))
            bad_ = true;
        left_ = count;
    }

    // How many chunks are left, according to the page.
    [[nodiscard]] std::uint64_t left() const noexcept { return left_; }

    // Decodes the next chunk into `out`, whose data points into the page. `end` and `malformed` are final.
    [[nodiscard]] Step next(PageChunk &out) noexcept {
        if (bad_)
            return Step::malformed;
        if (left_ == 0) {
            bad_ = !rest_.empty();
            return bad_ ? Step::malformed : Step::end;
        }
        if (!decode(out)) {
            bad_ = true;
            return Step::malformed;
        }
        --left_;
        return Step::chunk;
    }

private:
    [[nodiscard]] bool decode(PageChunk &out) noexcept {
        if (eof_ || rest_.empty())
            return false;  // nothing may follow the EOF
        const std::byte flags = rest_[0];
        rest_ = rest_.subspan(1);
        if ((flags & ~(kFlagEof | kFlagEpoch)) != std::byte{0})
            return false;

        std::uint64_t step = 0;
        constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
        if (!varint(step) || step == 0 || step > kMax - static_cast<std::uint64_t>(id_))
            return false;
        id_ += static_cast<std::int64_t>(step);

        if ((flags & kFlagEpoch) != std::byte{0}) {
            if (rest_.size() < 4)
                return false;
            std::uint32_t epoch = 0;
            for (unsigned i = 0; i < 4; ++i)
                epoch |= std::to_integer<std::uint32_t>(rest_[i]) << (8 * i);
            epoch_ = static_cast<std::int32_t>(epoch);
            rest_ = rest_.subspan(4);
            epoch_known_ = true;
        }
        if (!epoch_known_)
            return false;

        std::uint64_t zigzag = 0;
        if (!varint(zigzag))
            return false;
        const auto delta = static_cast<std::int64_t>((zigzag >> 1) ^ (~(zigzag & 1) + 1));
        if (__builtin_add_overflow(appended_at_, delta, &appended_at_))
            return false;

        std::uint64_t length = 0;
        if (!varint(length) || length > rest_.size())
            return false;
        const auto size = static_cast<std::size_t>(length);
        eof_ = (flags & kFlagEof) != std::byte{0};
        out = {id_, appended_at_, epoch_, eof_, rest_.first(size)};
        rest_ = rest_.subspan(size);
        return true;
    }

    [[nodiscard]] bool varint(std::uint64_t &out) noexcept {
        std::uint64_t value = 0;
        for (unsigned i = 0; i < 10 && i < rest_.size(); ++i) {
            const auto byte = std::to_integer<std::uint64_t>(rest_[i]);
            if (i == 9 && byte > 1)
                return false;
            value |= (byte & 0x7f) << (7 * i);
            if ((byte & 0x80) == 0) {
                rest_ = rest_.subspan(i + 1);
                out = value;
                return true;
            }
        }
        return false;
    }

    std::span<const std::byte> rest_;
    std::uint64_t left_ = 0;
    std::int64_t id_ = 0;
    std::int64_t appended_at_ = 0;
    std::int32_t epoch_ = 0;
    bool epoch_known_ = false;
    bool eof_ = false;
    bool bad_ = false;
};

// The summary of a complete, well-formed page; nullopt for any other.
struct PageSummary {
    std::uint64_t chunks = 0;
    std::uint64_t bytes = 0;  // of data
    PageChunk first;
    PageChunk last;
};

[[nodiscard]] inline std::optional<PageSummary> summarize(std::span<const std::byte> page) noexcept {
    PageReader reader(page);
    PageSummary summary;
    for (;;) {
        PageChunk chunk;
        switch (reader.next(chunk)) {
        case PageReader::Step::malformed:
            return std::nullopt;
        case PageReader::Step::end:
            return summary;
        case PageReader::Step::chunk:
            if (summary.chunks++ == 0)
                summary.first = chunk;
            summary.last = chunk;
            summary.bytes += chunk.data.size();
        }
    }
}

}  // namespace rill::detail
