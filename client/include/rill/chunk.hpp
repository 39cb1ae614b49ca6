// One chunk of a stream, as a Reader hands it out.
//
// Lifetime: `data` points into the page of chunks that came with it from the server, and the chunk (or any copy of it)
// keeps that page alive, also after the Reader and the Client are gone. A page is at most Options::fetch_bytes, or one
// chunk if that is larger: copy `data` out if you keep few chunks for long.
// Thread-safety: a value type; copies are independent, the bytes are never changed.
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
    /// Grows along the stream, starting at 1; a gap is an append that was rolled back.
    std::int64_t id = 0;
    /// The bytes of one append.
    std::span<const std::byte> data;
    /// When the server stored it, in its clock; microsecond precision.
    std::chrono::system_clock::time_point appended_at;
    /// Which run of which server wrote it. Store it beside the id to have after(id, epoch) verify the cursor.
    std::int32_t epoch = 0;
    /// The last chunk of the stream.
    bool eof = false;

    /// The bytes as text. Whatever was appended: nothing says that it is valid UTF-8.
    [[nodiscard]] std::string_view text() const noexcept {
        return {reinterpret_cast<const char *>(data.data()), data.size()};
    }

    /// For librill: `page` is kept alive together with the chunk.
    void keep(std::shared_ptr<const void> page) noexcept { page_ = std::move(page); }

private:
    std::shared_ptr<const void> page_;
};

}  // namespace rill
