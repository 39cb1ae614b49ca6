// The rows that stream_fetch and stream_fetch_await answer with: a page of packed chunks (core/page.hpp) of one stream,
// or what is wrong with its cursor.
#pragma once
#include "core/page.hpp"
#include "read/requests.hpp"

namespace rill {

// A longer page is continued in the next row (a single larger chunk has one of its own): each of the copies on its way
// to the socket then stays in the processor's cache, and in memory that malloc keeps.
inline constexpr int kPageBytes = 48 * 1024;

// A page as a bytea that grows in place and is used again for the next one.
class PageBuffer {
public:
    // The memory comes from the present context, when it is first needed.
    PageBuffer() : context_(CurrentMemoryContext), writer_(sink_) {}
    PageBuffer(const PageBuffer &) = delete;
    PageBuffer &operator=(const PageBuffer &) = delete;

    void restart() {
        if (sink_.buffer.data == nullptr)
            allocate();
        sink_.buffer.len = VARHDRSZ + static_cast<int>(core::kPageHeaderSize);
        writer_.restart();
    }
    [[nodiscard]] bool empty() const { return writer_.count() == 0; }
    // Whether a chunk with this data still belongs into the page.
    [[nodiscard]] bool takes(const varlena *data) const {
        return empty() || sink_.buffer.len + VARSIZE_ANY_EXHDR(data) <= kPageBytes;
    }
    void add(const ChunkScan &chunk, const varlena *data) {
        writer_.add(chunk.id(), chunk.epoch(), chunk.appended_at(), chunk.eof(), VARDATA_ANY(data),
                    VARSIZE_ANY_EXHDR(data));
    }
    // Good until the next restart().
    Datum finish() {
        core::put_page_header(reinterpret_cast<uint8 *>(sink_.buffer.data + VARHDRSZ), writer_.count());
        SET_VARSIZE(sink_.buffer.data, sink_.buffer.len);
        return PointerGetDatum(sink_.buffer.data);
    }

private:
    struct Sink {
        StringInfoData buffer;
        uint8 *room(size_t bytes) {
            enlargeStringInfo(&buffer, static_cast<int>(bytes));
            return reinterpret_cast<uint8 *>(buffer.data + buffer.len);
        }
        void filled(const uint8 *end) {
            buffer.len = static_cast<int>(reinterpret_cast<const char *>(end) - buffer.data);
        }
    };
    void allocate();

    MemoryContext context_;
    Sink sink_ = {};
    core::PageWriter<Sink> writer_;
};
static_assert(std::is_trivially_destructible_v<PageBuffer>);

enum FetchColumn : int {
    kFetchN,
    kFetchStreamId,
    kFetchPage,
    kFetchMore,
    kFetchSqlstate,
    kFetchMessage,
    kFetchColumns
};
struct FetchRow {
    Datum values[kFetchColumns];
    bool nulls[kFetchColumns];
};

// The row for the n-th request, counted from 0. No page: a null Datum. `more`: chunks after the page, or after the
// cursor when there is none, may have been left out.
FetchRow fetch_row(int n, const Request &request, Datum page, bool more);
// The row that says nothing.
FetchRow empty_fetch_row();

}  // namespace rill
