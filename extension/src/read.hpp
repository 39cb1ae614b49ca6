// Reading streams: what the SQL functions share. See chunk_scan.hpp for the stable prefix.
#pragma once
#include "arguments.hpp"
#include "catalog.hpp"
#include "chunk_scan.hpp"

namespace rill {

// A stream as the caller may see it under one snapshot. One that may not be seen is not there.
struct VisibleStream {
    bool exists;
    StreamRow row;
};

// readable_through of a stream, from the shared table, as it was before a snapshot was taken: every id up to there is
// decided under that snapshot, too. The name may mean another stream by then: so the id goes along.
struct Known {
    int64 stream_id;
    int64 readable_through;
    [[nodiscard]] int64 of(const VisibleStream &stream) const { return stream.row.id == stream_id ? readable_through : 0; }
};

class Look;
VisibleStream open_for_read(const StreamName &name, const Look &look);

// True when there is certainly nothing after the cursor, and no EOF at it, told without a snapshot: no id above it has
// been given. False also when that is not known. Only for what this session has looked up before under the same rights.
// *known is then for find_news.
bool known_idle(const StreamName &name, int64 cursor, Known *known);

// Where a cursor stands (promise I8).
enum class CursorState : uint8 {
    good,
    behind,    // RL002: before the first retained chunk
    diverged,  // RL003: this server never gave that id, or gave it to another chunk
    missing,   // RL007: there is no such stream
};
[[noreturn]] void refuse_cursor(CursorState state, const StreamName &name, int64 cursor);
const char *cursor_sqlstate(CursorState state);
const char *cursor_message(CursorState state, const StreamName &name, int64 cursor);

// Before reading: all but "ahead", which only matters when nothing is found.
CursorState check_cursor(const VisibleStream &stream, int64 cursor);
// After finding nothing behind the cursor: on a primary, an id that was never given is diverged.
CursorState check_ahead(Relation chunks, const VisibleStream &stream, int64 cursor);

// A read-only look at streams under one fresh snapshot (the transaction's own under REPEATABLE
// READ): from begin() to end() the snapshot is active and the chunk table is locked and open.
class Look {
public:
    void begin();
    void end();
    [[nodiscard]] Relation chunks() const { return chunks_; }
    [[nodiscard]] Snapshot snapshot() const { return GetActiveSnapshot(); }
    [[nodiscard]] uint64 generation() const { return generation_; }
    ChunkScan &scan();  // opened when first used

private:
    Relation chunks_;
    uint64 generation_;  // rights_generation() before the snapshot was taken
    ChunkScan scan_;
    bool scanning_;
};
static_assert(std::is_trivially_destructible_v<Look>);

struct Caps {
    int64 chunks;
    int64 bytes;
};

// Hands the chunks after the cursor to `take(scan)` until a cap is reached or the prefix ends.
// At least one chunk is handed out, however large. Returns how many; *drained is set when the
// prefix ended rather than a cap. `caps` is lowered by what was used.
template <typename Take>
int64 read_prefix(Look &look, const VisibleStream &stream, int64 cursor, Caps *caps, bool *drained, Take take);

// Shares what was learnt with other readers: a scan from `cursor` found `last` readable at its end.
void learn_readable(Look &look, const VisibleStream &stream, int64 cursor, int64 last, bool drained);

// The highest readable id, 0 if none.
int64 find_head(Look &look, const VisibleStream &stream, const Known &known);
// readable_through of a stream from the shared table, for find_head; 0 under REPEATABLE READ.
Known known_readable(const StreamName &name);

// The highest readable id after the cursor, 0 if there is none; `known` as for find_head.
int64 find_news(Look &look, const VisibleStream &stream, int64 cursor, const Known &known);

// Rows (chunk_id, data, eof, appended_at, epoch) of a result, with the stream's name first if it has six columns.
class ChunkRows {
public:
    explicit ChunkRows(ReturnSetInfo *out);
    void put(const text *stream, const ChunkScan &chunk);

private:
    void grow(Size bytes);
    ReturnSetInfo *out_;
    MemoryContext context_;
    HeapTupleHeader row_;
    Size room_;
};
static_assert(std::is_trivially_destructible_v<ChunkRows>);

// Whether this very id is an EOF under the snapshot.
bool is_eof(Look &look, const VisibleStream &stream, int64 id);

template <typename Take>
int64 read_prefix(Look &look, const VisibleStream &stream, int64 cursor, Caps *caps, bool *drained, Take take) {
    ChunkScan &scan = look.scan();
    int64 count = 0;
    int64 last = 0;
    *drained = false;
    scan.start(stream.row.id, Max(cursor, stream.row.trimmed_through));
    for (;;) {
        if (count > 0 && caps->chunks <= 0)
            break;
        if (!scan.next()) {
            *drained = true;
            break;
        }
        const int64 size = scan.size();
        if (count > 0 && size > caps->bytes)
            break;
        last = scan.id();
        take(scan);
        ++count;
        --caps->chunks;
        caps->bytes -= Min(size, caps->bytes);
    }
    learn_readable(look, stream, cursor, last, *drained && !scan.stopped());
    return count;
}

}  // namespace rill
