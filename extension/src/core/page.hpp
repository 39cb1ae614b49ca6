// The packed page of chunks that stream_fetch() sends to librill (version 1).
// Pure C++; no allocation of its own: the sink decides where bytes go, so that the
// server writes straight into the bytea it returns. The layout:
//   u8 version, varint count, then per chunk
//   u8 flags (bit 0 EOF, bit 1 epoch follows), varint id delta, [i32 LE epoch],
//   varint zigzag(appended_at delta, microseconds since 2000-01-01 UTC), varint length, bytes.
// Varints are unsigned LEB128; the count is padded to five bytes since it is known last.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace rill::core {

inline constexpr std::uint8_t kPageVersion = 1;
inline constexpr std::uint8_t kFlagEof = 1;
inline constexpr std::uint8_t kFlagEpoch = 2;
inline constexpr std::size_t kMaxVarint = 10;
inline constexpr std::size_t kPageHeaderSize = 1 + 5;
inline constexpr std::size_t kMaxChunkHeader = 1 + kMaxVarint + 4 + kMaxVarint + kMaxVarint;

inline std::uint8_t *put_varint(std::uint8_t *out, std::uint64_t value) {
    while (value >= 0x80) {
        *out++ = static_cast<std::uint8_t>(value | 0x80);
        value >>= 7;
    }
    *out++ = static_cast<std::uint8_t>(value);
    return out;
}

// Differences wrap on purpose: unsigned arithmetic is exact modulo 2^64 both ways.
inline std::uint64_t zigzag(std::uint64_t difference) { return (difference << 1) ^ (0 - (difference >> 63)); }

// Writes the header, with the count in the space left for it: five bytes, non-minimal when small.
inline void put_page_header(std::uint8_t *header, std::uint32_t count) {
    header[0] = kPageVersion;
    for (int i = 1; i <= 4; ++i) {
        header[i] = static_cast<std::uint8_t>(count | 0x80);
        count >>= 7;
    }
    header[5] = static_cast<std::uint8_t>(count);
}

// Sink: `std::uint8_t *room(std::size_t)` returns space for that many more bytes at the
// end; `void filled(std::uint8_t *end)` says how far it was used.
template <typename Sink>
class PageWriter {
public:
    explicit PageWriter(Sink &sink) : sink_(sink) {}

    void add(std::int64_t id, std::int32_t epoch, std::int64_t appended_at, bool eof, const void *data,
             std::size_t size) {
        std::uint8_t *out = sink_.room(kMaxChunkHeader + size);
        const bool new_epoch = count_ == 0 || epoch != epoch_;
        *out++ = static_cast<std::uint8_t>((eof ? kFlagEof : 0) | (new_epoch ? kFlagEpoch : 0));
        out = put_varint(out, static_cast<std::uint64_t>(id) - static_cast<std::uint64_t>(id_));
        if (new_epoch) {
            const auto bits = static_cast<std::uint32_t>(epoch);
            for (int shift = 0; shift < 32; shift += 8)
                *out++ = static_cast<std::uint8_t>(bits >> shift);
        }
        out = put_varint(out, zigzag(static_cast<std::uint64_t>(appended_at) - static_cast<std::uint64_t>(at_)));
        out = put_varint(out, size);
        if (size > 0)
            std::memcpy(out, data, size);
        sink_.filled(out + size);
        id_ = id;
        epoch_ = epoch;
        at_ = appended_at;
        ++count_;
    }

    [[nodiscard]] std::uint32_t count() const { return count_; }
    // The next chunk begins another page.
    void restart() {
        id_ = at_ = 0;
        epoch_ = 0;
        count_ = 0;
    }

private:
    Sink &sink_;
    std::int64_t id_ = 0;
    std::int64_t at_ = 0;
    std::int32_t epoch_ = 0;
    std::uint32_t count_ = 0;
};

}  // namespace rill::core
