// stream_read_since, stream_head, and what all reading shares. See read.hpp.
#include "read/read.hpp"

#include "base/boundary.hpp"
#include "base/errors.hpp"
#include "tables/last_id.hpp"
#include "base/pg_compat.hpp"
#include "tables/privileges.hpp"
#include "tables/stream_cache.hpp"
#include "wake/wait_loop.hpp"

namespace rill {

VisibleStream open_for_read(const StreamName &name, ReadSnapshot &look) {
    VisibleStream stream = {false, {}};
    require_privilege(ACL_SELECT);
    const bool plain = !policies_apply();
    stream.exists =
        find_stream(name.data, name.size, look.snapshot(), &stream.row) && (plain || look.may_see(stream.row.id));
    if (stream.exists && plain && !stream.row.own && !IsolationUsesXactSnapshot())
        (void) cache_stream(name, stream.row.id, false, look.generation());
    return stream;
}

VisibleStream open_after(const StreamName &name, int64 cursor, const Known &known, ReadSnapshot &look, bool *found) {
    // The usual case for a reader that follows costs no look at table stream. The session's cache tells the id: what
    // made it untrue moved the generation before this look began, or commits beside it. That the next chunk is visible
    // tells that the cursor is not behind: trimmed_through moves in the transaction that deletes the chunks up to it.
    *found = false;
    if (cursor > 0 && known.generation == look.generation()) {
        const MemoryContext old = MemoryContextSwitchTo(look.memory());
        ChunkScan &scan = look.scan();
        scan.start(known.stream_id, cursor);
        *found = scan.next() && scan.id() == cursor + 1 && !scan.eof();
        MemoryContextSwitchTo(old);
        if (*found)
            return {true, {known.stream_id, 0, 0, false}};
    }
    return open_for_read(name, look);
}

namespace {

// What this session remembers of a stream, as long as nothing but the caller's rights on the table decides.
const CachedStream *trusted_stream(const StreamName &name) {
    if (shared == nullptr || IsolationUsesXactSnapshot())
        return nullptr;
    AcceptInvalidationMessages();
    const CachedStream *cached = cached_stream(name);
    if (cached == nullptr)
        return nullptr;
    require_privilege(ACL_SELECT);
    return policies_apply() ? nullptr : cached;
}

}  // namespace

bool known_idle(const StreamName &name, int64 cursor, Known *known) {
    *known = {0, 0};
    const CachedStream *cached = trusted_stream(name);
    if (cached == nullptr)
        return false;
    const CachedIds view = lookup_ids(stream_key(tables().chunk, cached->id));
    *known = {cached->id, view.readable_through, cached->generation};
    return view.last_known && view.last_id == cursor && !view.check_tail;
}

CursorState check_cursor(const VisibleStream &stream, int64 cursor) {
    if (cursor > 0 && !stream.exists)
        return CursorState::missing;
    if (cursor > 0 && cursor < stream.row.trimmed_through)
        return CursorState::behind;
    return CursorState::good;
}

CursorState check_ahead(Relation chunks, const VisibleStream &stream, int64 cursor) {
    if (!stream.exists || RecoveryInProgress())
        return CursorState::good;  // a standby may simply lag
    const CachedIds view =
        load_cached_ids(chunks, stream_key(RelationGetRelid(chunks), stream.row.id), stream.row.trimmed_through);
    // Above it ask the index, too: rows can have come by COPY, past the shared table.
    if ((view.last_known && cursor <= view.last_id) || cursor <= stream.row.trimmed_through)
        return CursorState::good;
    const Tail tail = read_tail(chunks, stream.row.id);
    return tail.any && cursor <= tail.id ? CursorState::good : CursorState::diverged;
}

const char *cursor_sqlstate(CursorState state) {
    return unpack_sql_state(state == CursorState::behind     ? kCursorBehind
                            : state == CursorState::diverged ? kCursorDiverged
                                                             : kNoSuchStream);
}

const char *cursor_message(CursorState state, const StreamName &name, int64 cursor) {
    switch (state) {
    case CursorState::behind:
        return psprintf("cursor " INT64_FORMAT " of stream \"%.*s\" is before the first retained chunk", cursor,
                        name.size, name.data);
    case CursorState::diverged:
        return psprintf("cursor " INT64_FORMAT " of stream \"%.*s\" is not of this history", cursor, name.size,
                        name.data);
    default:
        return psprintf("there is no stream \"%.*s\" for cursor " INT64_FORMAT, name.size, name.data, cursor);
    }
}

void refuse_cursor(CursorState state, const StreamName &name, int64 cursor) {
    const char *message = cursor_message(state, name, cursor);
    switch (state) {
    case CursorState::behind:
        ereport(ERROR, (errcode(kCursorBehind), errmsg_internal("%s", message),
                        errdetail("Chunks after it have been trimmed."),
                        errhint("Begin again at cursor 0, the first retained chunk.")));
        break;
    case CursorState::diverged:
        ereport(
            ERROR,
            (errcode(kCursorDiverged), errmsg_internal("%s", message),
             errdetail("The server has been restored, a standby was promoted without the last chunks, the stream was "
                       "deleted and created again, or the cursor is of another stream."),
             errhint("Find out what you have read that is not here, then begin again at a cursor of this server.")));
        break;
    default:
        ereport(ERROR,
                (errcode(kNoSuchStream), errmsg_internal("%s", message),
                 errdetail("It does not exist or may not be seen; the cursor was given by a stream that is gone."),
                 errhint("Begin again at cursor 0.")));
    }
    pg_unreachable();
}

void ReadSnapshot::begin(MemoryContext memory) {
    memory_ = memory;
    AcceptInvalidationMessages();
    // Lock first: what waits for a lock must not hold a snapshot that grows old meanwhile.
    chunks_ = table_open(tables().chunk, AccessShareLock);
    generation_ = rights_generation();
    PushActiveSnapshot(GetTransactionSnapshot());
    scanning_ = judging_ = false;
    kept_ = nullptr;
}

void ReadSnapshot::keep() {
    end_judging();
    // Pushing has made a copy. The transaction's snapshot itself would not do: under REPEATABLE READ later commands
    // move its command id on.
    kept_ = RegisterSnapshot(GetActiveSnapshot());
    PopActiveSnapshot();
}

void ReadSnapshot::end() {
    if (scanning_)
        scan_.end();
    end_judging();
    // A look's lock is released at once, so that one who waits inside a transaction does not hold up DDL. Whoever has
    // been handed rows may detoast them later: as after any scan, the table stays as it is until the transaction's end.
    if (kept_ != nullptr) {
        UnregisterSnapshot(kept_);
        table_close(chunks_, NoLock);
    } else {
        PopActiveSnapshot();
        table_close(chunks_, AccessShareLock);
    }
}

bool ReadSnapshot::may_see(int64 stream_id) {
    if (!judging_) {
        policies_.begin(CMD_SELECT, snapshot(), memory_);
        judging_ = true;
    }
    return policies_.allows(stream_id);
}

void ReadSnapshot::end_judging() {
    if (judging_)
        policies_.end();
    judging_ = false;
}

ChunkScan &ReadSnapshot::scan() {
    if (!scanning_) {
        scan_.open(chunks_, snapshot());
        scanning_ = true;
    }
    return scan_;
}

void learn_readable(ReadSnapshot &look, const VisibleStream &stream, int64 cursor, int64 last, bool drained) {
    if (shared == nullptr || last == 0 || !drained)
        return;
    // To us our own rows are decided; to everybody else they are not.
    if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
        return;
    // Only what joins on to ids already known to be decided says anything about all ids below.
    const core::StreamKey key = stream_key(RelationGetRelid(look.chunks()), stream.row.id);
    const CachedIds view = lookup_ids(key);
    if (cursor <= Max(view.readable_through, stream.row.trimmed_through) && last > view.readable_through)
        note_readable(key, last);
}

void StablePrefixScan::start(ReadSnapshot *look, const VisibleStream &stream, int64 cursor, const Caps &caps,
                             bool found) {
    look_ = look;
    scan_ = &look->scan();
    stream_ = stream;
    cursor_ = cursor;
    caps_ = left_ = caps;
    count_ = last_ = 0;
    until_ = PG_INT64_MAX;
    found_ = found;
    ended_ = drained_ = false;
    if (!found)
        scan_->start(stream.row.id, Max(cursor, stream.row.trimmed_through));
}

void StablePrefixScan::again() {
    if (ended_)
        until_ = last_;
    left_ = caps_;
    count_ = last_ = 0;
    found_ = ended_ = drained_ = false;
    scan_->start(stream_.row.id, Max(cursor_, stream_.row.trimmed_through));
}

bool StablePrefixScan::look_again() {
    if (!drained_ || !scan_->stopped())
        return false;
    ended_ = drained_ = false;
    scan_->start(stream_.row.id, last_);
    return next();
}

void StablePrefixScan::learn() const { learn_readable(*look_, stream_, cursor_, last_, drained_ && !scan_->stopped()); }

Known known_readable(const StreamName &name) {
    if (shared == nullptr || IsolationUsesXactSnapshot())
        return {0, 0};  // an old snapshot may hold for undecided what others have found decided
    int64 id = 0;
    if (const CachedStream *cached = trusted_stream(name))
        id = cached->id;
    else {
        ReadSnapshot look;
        look.begin();
        id = open_for_read(name, look).row.id;
        look.end();
    }
    return {id, lookup_ids(stream_key(tables().chunk, id)).readable_through};
}

int64 find_head(ReadSnapshot &look, const VisibleStream &stream, const Known &known_before) {
    const int64 known = known_before.of(stream);
    ChunkScan &scan = look.scan();
    int64 head = 0;
    const int64 from = Max(known - 1, stream.row.trimmed_through);
    scan.start(stream.row.id, from);
    while (scan.next())
        head = scan.id();
    learn_readable(look, stream, from, head, !scan.stopped());
    if (head == 0 && known > stream.row.trimmed_through && scan.last_at_or_below(stream.row.id, known))
        head = scan.id();
    return head;
}

int64 find_news(ReadSnapshot &look, const VisibleStream &stream, int64 cursor, const Known &known, bool found) {
    ChunkScan &scan = look.scan();
    if (!found)
        scan.start(stream.row.id, Max(cursor, stream.row.trimmed_through));
    int64 head = found || scan.next() ? scan.id() : 0;
    if (head > 0 && known.of(stream) > head)
        return find_head(look, stream, known);  // skips what is known to be decided
    while (head > 0 && scan.next())
        head = scan.id();
    learn_readable(look, stream, cursor, head, !scan.stopped());
    return head;
}

// The row's columns are fixed and never null, so it is laid out here, once and in place: heap_form_minimal_tuple()
// would look at each column twice and allocate anew, for a quarter of what a read costs.
namespace {

// As heap_fill_tuple() stores a varlena of extended storage: with a one-byte header where that is enough.
char *put_varlena(char *base, char *at, const varlena *value) {
    if (VARATT_IS_SHORT(value)) {
        memcpy(at, value, VARSIZE_SHORT(value));
        return at + VARSIZE_SHORT(value);
    }
    if (VARATT_CAN_MAKE_SHORT(value)) {
        const Size size = VARATT_CONVERTED_SHORT_SIZE(value);
        SET_VARSIZE_SHORT(at, size);
        memcpy(VARDATA_SHORT(at), VARDATA(value), size - VARHDRSZ_SHORT);
        return at + size;
    }
    char *const aligned = base + INTALIGN(at - base);
    memset(at, 0, static_cast<Size>(aligned - at));
    memcpy(aligned, value, VARSIZE(value));
    return aligned + VARSIZE(value);
}

template <typename T>
char *put_fixed(char *base, char *at, T value) {
    char *const aligned = base + TYPEALIGN(alignof(T), at - base);
    memset(at, 0, static_cast<Size>(aligned - at));
    memcpy(aligned, &value, sizeof(T));
    return aligned + sizeof(T);
}

}  // namespace

ChunkRows::ChunkRows(ReturnSetInfo *out) : out_(out), context_(CurrentMemoryContext), row_(nullptr), room_(0) {
    grow(1024);
    // Rows live in a store of our own, packed one behind the other: the server's (before 18) rounds each up to a power
    // of two and, with blocks of megabytes, has the kernel map them anew for each page.
    tuplestore_end(out->setResult);
    const MemoryContext rows =
        GenerationContextCreate(out->econtext->ecxt_per_query_memory, "pg_rill rows", 0, 8 * 1024, 64 * 1024);
    const MemoryContext old = MemoryContextSwitchTo(rows);
    out->setResult = tuplestore_begin_heap((out->allowedModes & SFRM_Materialize_Random) != 0, false, work_mem);
    MemoryContextSwitchTo(old);
}

void ChunkRows::grow(Size bytes) {
    if (row_ != nullptr)
        pfree(row_);
    room_ = bytes;
    row_ = static_cast<HeapTupleHeader>(MemoryContextAllocZero(context_, room_));
    HeapTupleHeaderSetNatts(row_, out_->setDesc->natts);
    row_->t_infomask = HEAP_HASVARWIDTH;
    row_->t_hoff = MAXALIGN(SizeofHeapTupleHeader);
}

void ChunkRows::put(const text *stream, const ChunkScan &chunk) {
    const Datum stored = chunk.data();
    auto *value = reinterpret_cast<varlena *>(DatumGetPointer(stored));
    // What lies in the TOAST table is fetched while our snapshot protects it.
    if (VARATT_IS_EXTERNAL(value))
        value = detoast_external_attr(value);
    const Size most =
        MAXALIGN(SizeofHeapTupleHeader) + (stream != nullptr ? VARSIZE(stream) : 0) + VARSIZE_ANY(value) + 64;
    if (most > room_)
        grow(most + most / 2);
    char *const base = reinterpret_cast<char *>(row_) + row_->t_hoff;
    char *at = base;
    if (stream != nullptr)
        at = put_varlena(base, at, reinterpret_cast<const varlena *>(stream));
    at = put_fixed<int64>(base, at, chunk.id());
    at = put_varlena(base, at, value);
    at = put_fixed<bool>(base, at, chunk.eof());
    at = put_fixed<TimestampTz>(base, at, chunk.appended_at());
    at = put_fixed<int32>(base, at, chunk.epoch());
    HeapTupleData tuple = {};
    tuple.t_data = row_;
    tuple.t_len = static_cast<uint32>(at - reinterpret_cast<char *>(row_));
    tuplestore_puttuple(out_->setResult, &tuple);
    if (PointerGetDatum(value) != stored)
        pfree(value);
}

ReadRequest read_arguments(FunctionCallInfo fcinfo) {
    return {stream_argument(fcinfo, 0),
            cursor_argument(fcinfo, 1, "chunk_id"),
            {cap_argument(fcinfo, 2, "max_chunks", true), cap_argument(fcinfo, 3, "max_bytes", false)},
            timeout_argument(fcinfo, 4)};
}

bool is_eof(ReadSnapshot &look, const VisibleStream &stream, int64 id) {
    return stream.exists && id > 0 && look.scan().exactly(stream.row.id, id) && look.scan().eof();
}

}  // namespace rill

// stream_read_since(stream text, chunk_id bigint, max_chunks int, max_bytes bigint, timeout interval) returns setof
// record In a FROM clause read_scan.cpp usually takes its place.
RILL_FUNCTION(pg_rill_read_since) {
    using namespace rill;
    const ReadRequest request = read_arguments(fcinfo);
    ChunkRows rows(begin_srf(fcinfo));
    (void) wait_until(&request.name.key, 1, request.timeout, nullptr, [&] {
        ReadSnapshot look;
        return look_for_first(request, &look, nullptr, [&](const VisibleStream &stream, bool found) {
            Caps caps = request.caps;
            bool drained;
            return read_prefix(
                       look, stream, request.cursor, &caps, &drained,
                       [&](const ChunkScan &chunk) { rows.put(nullptr, chunk); }, found) > 0;
        });
    });
    return static_cast<Datum>(0);
}

// stream_head(stream text) returns bigint
RILL_FUNCTION(pg_rill_head) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    const Known known = known_readable(name);
    ReadSnapshot look;
    look.begin();
    const VisibleStream stream = open_for_read(name, look);
    const int64 head = stream.exists ? find_head(look, stream, known) : 0;
    look.end();
    return Int64GetDatum(head);
}
