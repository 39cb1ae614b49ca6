// One chunk of a stream, as a Reader returns it.
//
// Lifetime: `data` points into the page of chunks that it came with from the server, and the chunk (or any copy of it)
// keeps that page alive, also after the Reader and the Client are gone. A page is at most Options::fetch_bytes, or one
// chunk if that is larger. To keep a few chunks for long, copy their `data`.
// Thread-safety: a value type; copies are independent, and the bytes never change.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace rill {

struct Chunk {
    /// Increases along the stream, from 1. A gap is an append that was rolled back.
    std::int64_t id = 0;
    /// The bytes of one append.
    std::span<const std::byte> data;
    /// When the server stored it, by the server's clock, in microseconds.
    std::chrono::system_clock::time_point appended_at;
    /// Which run of which server stored it. Keep it with the id, so that after(id, epoch) can verify the cursor.
    std::int32_t epoch = 0;
    /// This is the last chunk of the stream.
    bool eof = false;

    /// The bytes as text. They are whatever was appended, so they need not be valid UTF-8.
    [[nodiscard]] std::string_view text() const noexcept {
        return {reinterpret_cast<const char *>(data.data()), data.size()};
    }

    /// For librill: keeps `page` alive together with the chunk.
    void keep(std::shared_ptr<const void> page) noexcept { page_ = std::move(page); }

private:
    std::shared_ptr<const void> page_;
};

}  // namespace rill
