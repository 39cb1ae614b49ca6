// Reading streams: what the SQL functions share. See chunk_scan.hpp for the stable prefix.
#pragma once
#include "base/arguments.hpp"
#include "tables/catalog.hpp"
#include "tables/chunk_scan.hpp"
#include "tables/policy_check.hpp"
#include "tables/stream_rows.hpp"

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
    uint64 generation = 0;  // rights_generation() under which the session's cache had the stream; 0: it had not
    [[nodiscard]] int64 of(const VisibleStream &stream) const {
        return stream.row.id == stream_id ? readable_through : 0;
    }
};

class ReadSnapshot;
VisibleStream open_for_read(const StreamName &name, ReadSnapshot &look);

// The same for reading after a cursor; `known` is as known_idle() left it. When *found comes back true, look.scan()
// stands on the first chunk after the cursor.
VisibleStream open_after(const StreamName &name, int64 cursor, const Known &known, ReadSnapshot &look, bool *found);

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
class ReadSnapshot {
public:
    // scan() and all that is done with it must be in `memory` if the look is to be kept.
    void begin(MemoryContext memory = CurrentMemoryContext);
    void end();
    // The look goes on after the function that began it has returned: the snapshot is no longer active but registered.
    // end() must come under the same resource owner.
    void keep();
    [[nodiscard]] MemoryContext memory() const { return memory_; }
    [[nodiscard]] Relation chunks() const { return chunks_; }
    [[nodiscard]] Snapshot snapshot() const { return kept_ != nullptr ? kept_ : GetActiveSnapshot(); }
    [[nodiscard]] uint64 generation() const { return generation_; }
    ChunkScan &scan();  // opened when first used
    // Whether the policies let the caller see this stream. Only when policies_apply().
    bool may_see(int64 stream_id);

private:
    void end_judging();

    MemoryContext memory_;
    Relation chunks_;
    uint64 generation_;  // rights_generation() before the snapshot was taken
    ChunkScan scan_;
    bool scanning_;
    PolicyCheck policies_;
    bool judging_;
    Snapshot kept_;
};
static_assert(std::is_trivially_destructible_v<ReadSnapshot>);

struct Caps {
    int64 chunks;
    int64 bytes;
};

// The chunks after the cursor, one after the other, until a cap is reached or the prefix ends. At least one chunk,
// however large.
class StablePrefixScan {
public:
    // With `found`, look->scan() already stands on the first chunk.
    void start(ReadSnapshot *look, const VisibleStream &stream, int64 cursor, const Caps &caps, bool found = false);
    // The next chunk is in chunk().
    bool next();
    [[nodiscard]] const ChunkScan &chunk() const { return *scan_; }
    // Why next() was false: the prefix ended, not a cap.
    [[nodiscard]] bool drained() const { return drained_; }
    // After next() was false: shares with other readers what was learnt.
    void learn() const;
    [[nodiscard]] int64 count() const { return count_; }
    [[nodiscard]] Caps left() const { return left_; }

    // The same chunks once more, from the first: no further than before, though what held the prefix back may be gone.
    void again();
    // Scans afresh after the last chunk, where next() stopped before one that may still appear.
    bool look_again();

private:
    ReadSnapshot *look_;
    ChunkScan *scan_;
    VisibleStream stream_;
    int64 cursor_;
    Caps caps_;
    Caps left_;
    int64 count_;
    int64 last_;
    int64 until_;  // where it ended the first time
    bool found_;   // the scan stands on a chunk that next() has not given out
    bool ended_;
    bool drained_;
};
static_assert(std::is_trivially_destructible_v<StablePrefixScan>);

// Hands the chunks of a StablePrefixScan to `take(scan)`. Returns how many; *drained is set when the prefix ended
// rather than a cap. `caps` is lowered by what was used.
template <typename Take>
int64 read_prefix(ReadSnapshot &look, const VisibleStream &stream, int64 cursor, Caps *caps, bool *drained, Take take,
                  bool found = false);

// Shares what was learnt with other readers: a scan from `cursor` found `last` readable at its end.
void learn_readable(ReadSnapshot &look, const VisibleStream &stream, int64 cursor, int64 last, bool drained);

// The highest readable id, 0 if none.
int64 find_head(ReadSnapshot &look, const VisibleStream &stream, const Known &known);
// readable_through of a stream from the shared table, for find_head; 0 under REPEATABLE READ.
Known known_readable(const StreamName &name);

// The highest readable id after the cursor, 0 if there is none; `known` as for find_head. With `found`, look.scan()
// stands on the first chunk after the cursor.
int64 find_news(ReadSnapshot &look, const VisibleStream &stream, int64 cursor, const Known &known, bool found = false);

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
bool is_eof(ReadSnapshot &look, const VisibleStream &stream, int64 id);

// The arguments of stream_read_since.
struct ReadRequest {
    StreamName name;
    int64 cursor;
    Caps caps;
    int64 timeout;
};
ReadRequest read_arguments(FunctionCallInfo fcinfo);

// One look of stream_read_since: `read(stream, found)` tells whether it has found a chunk; with `found`, look->scan()
// stands on the first. True when there is one, or the stream has ended at the cursor. Raises what is wrong with the
// cursor. With `keep`, a look that has found a chunk goes on, in that memory.
template <typename Read>
bool look_for_first(const ReadRequest &request, ReadSnapshot *look, MemoryContext keep, Read read) {
    Known known;
    if (known_idle(request.name, request.cursor, &known))
        return false;
    look->begin(keep != nullptr ? keep : CurrentMemoryContext);
    bool found = false;
    bool ended = false;
    const VisibleStream stream = open_after(request.name, request.cursor, known, *look, &found);
    CursorState state = check_cursor(stream, request.cursor);
    if (state == CursorState::good && stream.exists) {
        const MemoryContext old = MemoryContextSwitchTo(look->memory());
        found = read(stream, found);
        MemoryContextSwitchTo(old);
        if (!found)
            state = check_ahead(look->chunks(), stream, request.cursor);
        if (!found && state == CursorState::good)
            ended = is_eof(*look, stream, request.cursor);
    }
    if (found && keep != nullptr)
        look->keep();
    else
        look->end();
    if (state != CursorState::good)
        refuse_cursor(state, request.name, request.cursor);
    return found || ended;
}

inline bool StablePrefixScan::next() {
    if (ended_)
        return false;
    ended_ = true;
    if (last_ >= until_ || (count_ > 0 && left_.chunks <= 0))
        return false;
    if (!found_ && !scan_->next()) {
        drained_ = true;
        return false;
    }
    found_ = false;
    const int64 size = scan_->size();
    if (count_ > 0 && size > left_.bytes)
        return false;
    ended_ = false;
    last_ = scan_->id();
    ++count_;
    --left_.chunks;
    left_.bytes -= Min(size, left_.bytes);
    return true;
}

template <typename Take>
int64 read_prefix(ReadSnapshot &look, const VisibleStream &stream, int64 cursor, Caps *caps, bool *drained, Take take,
                  bool found) {
    StablePrefixScan prefix;
    prefix.start(&look, stream, cursor, *caps, found);
    while (prefix.next())
        take(prefix.chunk());
    prefix.learn();
    *drained = prefix.drained();
    *caps = prefix.left();
    return prefix.count();
}

}  // namespace rill
