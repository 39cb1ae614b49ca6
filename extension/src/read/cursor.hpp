// Where a cursor stands in its stream's history, and the errors when it does not belong there (promise I8). What can be
// told from the stream's row is checked before reading; whether the cursor is ahead of every id ever given matters only
// when nothing is found after it.
#pragma once
#include "read/visible_stream.hpp"

namespace rill {

enum class CursorState : uint8 {
    good,
    behind,    // RL002: before the first retained chunk
    diverged,  // RL003: this server never gave that id, or gave it to another chunk
    missing,   // RL007: there is no such stream
};

// Before reading: everything but "ahead".
CursorState check_cursor(const VisibleStream &stream, int64 cursor);
// After finding nothing behind the cursor: on a primary, an id that was never given is diverged.
CursorState check_ahead(Relation chunks, const VisibleStream &stream, int64 cursor);

// A cursor is of this history when its chunk is here with this epoch, or everything up to it was trimmed and nothing
// after it was. `not_yet`: the chunk is not here, but may come or be newer than the snapshot (a standby, REPEATABLE
// READ).
enum class Verdict : uint8 { same, not_yet, behind, diverged, missing };
Verdict verify_cursor(ReadSnapshot &snapshot, const VisibleStream &stream, int64 cursor, int32 epoch);

[[noreturn]] void refuse_cursor(CursorState state, const StreamName &name, int64 cursor);
// The same error as values, for results that report it by stream.
const char *cursor_sqlstate(CursorState state);
const char *cursor_message(CursorState state, const StreamName &name, int64 cursor);

}  // namespace rill
