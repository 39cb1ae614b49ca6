// stream_append, stream_append_many, stream_close: how one append travels.
//
//   1. name -> stream id (this session's cache, or table stream, or a new row there)
//   2. the caller's rights on that row
//   3. the stream's order lock; the next ids; heap row, then index entry, for each chunk;
//      the order lock is released, long before commit (I3)
//   4. at the transaction's end, waiting readers are woken (transaction_end.cpp)
//
// Why ids are in order (I2, I4): ids are given and rows physically inserted under one
// exclusive heavyweight lock for each stream, so row k is in heap, index and WAL before row
// k+1. It is a heavyweight lock, not an LWLock, because heap_insert can wait for relation
// locks (TOAST, extension): those waits must be cancellable and seen by the deadlock detector.
// Nothing else is waited for under it, so it makes no transaction wait for another's commit.
// Must survive: an error anywhere between giving an id and the index entry (a gap, no more),
// an EOF or a delete at the tail that is not decided yet, a stream that is not in the shared
// table, no shared table at all, extra indexes and triggers that somebody put on stream_chunk.
#include "write/append.hpp"

#include "base/boundary.hpp"
#include "tables/catalog.hpp"
#include "tables/chunk_scan.hpp"
#include "write/create.hpp"
#include "base/errors.hpp"
#include "tables/append_lock.hpp"
#include "tables/privileges.hpp"
#include "shmem/id_cache.hpp"
#include "base/settings.hpp"
#include "tables/stream_cache.hpp"
#include "wake/transaction_end.hpp"

namespace rill {

namespace {

constexpr int kMultiInsert = 128;  // rows for each heap_multi_insert

// What stands in the way of an append, decided under the order lock.
enum class TailState : uint8 { open, closed, deleted, undecided, unexpected };

struct Place {
    TailState state;
    int64 id;  // the first id to use, or the EOF's, or the highest one stored
    TransactionId wait_for;
};

// Asks the tables: the stream is not in the shared table, or an EOF or delete stands at its tail.
Place look_at_tail(Relation chunks, const core::StreamKey &key, const Batch &batch) {
    const StreamFate fate = stream_fate(key.stream);
    if (TransactionIdIsValid(fate.undecided))
        return {TailState::undecided, 0, fate.undecided};
    if (fate.deleted)
        return {TailState::deleted, 0, InvalidTransactionId};
    const Tail tail = read_tail(chunks, key.stream);
    if (TransactionIdIsValid(tail.undecided))
        return {TailState::undecided, 0, tail.undecided};
    if (tail.eof)
        return {TailState::closed, tail.id, InvalidTransactionId};
    if (batch.expected != nullptr) {
        const Stored stored = highest_stored(chunks, key.stream);
        if (TransactionIdIsValid(stored.undecided))
            return {TailState::undecided, 0, stored.undecided};
        const int64 highest = Max(stored.id, fate.trimmed_through);
        if (highest != *batch.expected)
            return {TailState::unexpected, highest, InvalidTransactionId};
    }
    int64 last = Max(tail.any ? tail.id : 0, fate.trimmed_through);
    if (const CachedIds view = lookup_ids(key); view.last_known)
        last = Max(last, view.last_id);
    if (last > PG_INT64_MAX - batch.count)
        ereport(ERROR,
                (errcode(ERRCODE_SEQUENCE_GENERATOR_LIMIT_EXCEEDED), errmsg("the stream has no chunk ids left"),
                 errdetail("The highest id given is " INT64_FORMAT ".", last), errhint("Go on in another stream.")));
    set_last_id(key, last + batch.count, batch.eof);
    return {TailState::open, last + 1, InvalidTransactionId};
}

HeapTuple form_chunk(TupleDesc desc, int64 stream_id, int64 id, int32 epoch, TimestampTz now, bool eof, Datum data) {
    Datum values[kChunkColumns] = {Int64GetDatum(stream_id), Int64GetDatum(id), Int32GetDatum(epoch),
                                   TimestampTzGetDatum(now), BoolGetDatum(eof), data};
    bool nulls[kChunkColumns] = {};
    return heap_form_tuple(desc, values, nulls);
}

void insert_index_entry(Relation chunks, Relation index, int64 stream_id, int64 id, ItemPointer tid) {
    Datum keys[2] = {Int64GetDatum(stream_id), Int64GetDatum(id)};
    bool nulls[2] = {false, false};
    // The B-tree takes nothing from an IndexInfo, so none is built.
    (void) index_insert(index, keys, nulls, tid, chunks, UNIQUE_CHECK_YES, false, nullptr);
}

// The table is as the extension made it: one index, no triggers, no constraints of somebody's own.
bool is_plain(Relation chunks) {
    if (chunks->trigdesc != nullptr)
        for (int i = 0; i < chunks->trigdesc->numtriggers; ++i) {
            const Trigger &trigger = chunks->trigdesc->triggers[i];
            const char quiet = SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ? TRIGGER_FIRES_ON_ORIGIN
                                                                                          : TRIGGER_FIRES_ON_REPLICA;
            // Our own one tells of what others store; a restore with --disable-triggers leaves it enabled for
            // everybody.
            if (TRIGGER_FOR_ROW(trigger.tgtype) && TRIGGER_FOR_INSERT(trigger.tgtype) && trigger.tgenabled != quiet &&
                trigger.tgenabled != TRIGGER_DISABLED && strcmp(trigger.tgname, "chunk_replicated") != 0)
                return false;
        }
    const TupleConstr *constraints = chunks->rd_att->constr;
    if (RelationGetDescr(chunks)->natts != kChunkColumns || chunks->rd_rel->relispartition ||
        (constraints != nullptr && (constraints->num_check > 0 || constraints->has_generated_stored)))
        return false;
    (void) chunk_index(chunks);
    return list_length(chunks->rd_indexlist) == 1;
}

// What can be done before the order lock is taken, since writers of one stream queue for it.
struct Prepared {
    bool plain;
    Relation index;   // open when plain
    HeapTuple tuple;  // of a single chunk when plain, without its id and time
};

// The columns before `data` have fixed widths and are never null.
constexpr Size kIdOffset = 8;
constexpr Size kAppendedAtOffset = 24;

Prepared prepare(Relation chunks, int64 stream_id, const Batch &batch) {
    Prepared prepared = {is_plain(chunks), nullptr, nullptr};
    if (!prepared.plain)
        return prepared;
    prepared.index = index_open(chunk_index(chunks), RowExclusiveLock);
    if (batch.count == 1)
        prepared.tuple = form_chunk(RelationGetDescr(chunks), stream_id, 0,
                                    epoch_of(RelationGetRelid(chunks), stream_id), 0, batch.eof, batch.data[0]);
    // Else heap_insert would get it under the lock. An append that has to look first may well store nothing.
    if (batch.expected == nullptr && batch.producer == nullptr && !batch.close)
        (void) GetCurrentTransactionId();
    return prepared;
}

void insert_one(Relation chunks, const Prepared &prepared, int64 stream_id, int64 id) {
    char *const row = reinterpret_cast<char *>(prepared.tuple->t_data) + prepared.tuple->t_data->t_hoff;
    const TimestampTz now = GetCurrentTimestamp();  // under the lock: times of a stream do not go back
    memcpy(row + kIdOffset, &id, sizeof(id));
    memcpy(row + kAppendedAtOffset, &now, sizeof(now));
    heap_insert(chunks, prepared.tuple, GetCurrentCommandId(true), 0, nullptr);
    insert_index_entry(chunks, prepared.index, stream_id, id, &prepared.tuple->t_self);
}

void insert_batch(Relation chunks, const Prepared &prepared, int64 stream_id, int64 first, const Batch &batch) {
    const TupleDesc desc = RelationGetDescr(chunks);
    const CommandId command = GetCurrentCommandId(true);
    const int32 epoch = epoch_of(RelationGetRelid(chunks), stream_id);
    const TimestampTz now = GetCurrentTimestamp();
    const int room = Min(batch.count, kMultiInsert);
    TupleTableSlot *slots[kMultiInsert];
    for (int i = 0; i < room; ++i)
        slots[i] = MakeSingleTupleTableSlot(desc, &TTSOpsHeapTuple);
    const BulkInsertState bulk = batch.count > kMultiInsert ? GetBulkInsertState() : nullptr;
    for (int done = 0; done < batch.count; done += room) {
        CHECK_FOR_INTERRUPTS();
        const int n = Min(room, batch.count - done);
        for (int i = 0; i < n; ++i)
            ExecForceStoreHeapTuple(form_chunk(desc, stream_id, first + done + i, epoch, now,
                                               batch.eof && done + i + 1 == batch.count, batch.data[done + i]),
                                    slots[i], true);
        heap_multi_insert(chunks, slots, n, command, 0, bulk);
        for (int i = 0; i < n; ++i)
            insert_index_entry(chunks, prepared.index, stream_id, first + done + i, &slots[i]->tts_tid);
    }
    if (bulk != nullptr)
        FreeBulkInsertState(bulk);
    for (int i = 0; i < room; ++i)
        ExecDropSingleTupleTableSlot(slots[i]);
}

// Somebody's indexes, triggers and constraints: the way logical replication inserts.
void insert_with_everything(Relation chunks, int64 stream_id, int64 first, const Batch &batch) {
    const int32 epoch = epoch_of(RelationGetRelid(chunks), stream_id);
    const TimestampTz now = GetCurrentTimestamp();
    EState *estate = CreateExecutorState();
    estate->es_output_cid = GetCurrentCommandId(true);
    auto *result = makeNode(ResultRelInfo);
    InitResultRelInfo(result, chunks, 0, nullptr, 0);
    estate->es_opened_result_relations = lappend(estate->es_opened_result_relations, result);
    ExecOpenIndices(result, false);
    AfterTriggerBeginQuery();
    TupleTableSlot *slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(chunks), &TTSOpsVirtual);
    for (int i = 0; i < batch.count; ++i) {
        CHECK_FOR_INTERRUPTS();
        ExecClearTuple(slot);
        memset(slot->tts_isnull, true, static_cast<Size>(slot->tts_tupleDescriptor->natts));
        memset(slot->tts_isnull, false, kChunkColumns);
        slot->tts_values[kChunkStream - 1] = Int64GetDatum(stream_id);
        slot->tts_values[kChunkId - 1] = Int64GetDatum(first + i);
        slot->tts_values[kChunkEpoch - 1] = Int32GetDatum(epoch);
        slot->tts_values[kChunkAppendedAt - 1] = TimestampTzGetDatum(now);
        slot->tts_values[kChunkEof - 1] = BoolGetDatum(batch.eof && i + 1 == batch.count);
        slot->tts_values[kChunkData - 1] = batch.data[i];
        ExecStoreVirtualTuple(slot);
        ExecSimpleRelationInsert(result, estate, slot);
        ResetPerTupleExprContext(estate);
    }
    AfterTriggerEndQuery(estate);
    ExecCloseIndices(result);
    ExecResetTupleTable(estate->es_tupleTable, false);
    FreeExecutorState(estate);
}

// Compresses large data before the order lock is taken: what is left to do under it is storing.
Datum ready_to_store(Relation chunks, Datum data) {
    const auto *value = reinterpret_cast<const varlena *>(DatumGetPointer(data));
    if (VARATT_IS_EXTERNAL(value))
        data = PointerGetDatum(detoast_external_attr(reinterpret_cast<varlena *>(DatumGetPointer(data))));
    value = reinterpret_cast<const varlena *>(DatumGetPointer(data));
    if (VARATT_IS_COMPRESSED(value) || VARSIZE_ANY(value) <= TOAST_TUPLE_TARGET)
        return data;
    const auto *column = TupleDescAttr(RelationGetDescr(chunks), kChunkData - 1);
    if (column->attstorage != TYPSTORAGE_EXTENDED && column->attstorage != TYPSTORAGE_MAIN)
        return data;
    const Datum compressed = toast_compress_datum(data, column->attcompression);
    return DatumGetPointer(compressed) != nullptr ? compressed : data;
}

// The stream to append to, created if it is new; the caller may append to it.
CachedStream *open_for_append(const StreamName &name) {
    AcceptInvalidationMessages();
    if (const CachedStream *cached = cached_stream(name)) {
        const int64 id = cached->id;
        const bool allowed = may_change(id);
        // Looked up again: a policy's functions may have used, and emptied, the cache.
        if (CachedStream *again = allowed ? cached_stream(name) : nullptr; again != nullptr && again->id == id)
            return again;
        forget_stream(name);
    }
    (void) tables();  // watches for invalidations from here on
    const uint64 generation = rights_generation();
    const OpenStream stream = open_or_create(name, nullptr);
    return cache_stream(name, stream.id, stream.own, generation);
}

}  // namespace

void note_foreign_chunk(Relation chunks, int64 stream_id, int64 id, bool eof) {
    // Changes come in runs of one stream.
    static struct {
        int64 stream_id;
        uint64 key;
        uint64 mark;
        uint64 generation;
    } last = {0, 0, 0, 0};
    raise_last_id(stream_key(RelationGetRelid(chunks), stream_id), id, eof);
    if (last.stream_id != stream_id || last.generation != rights_generation()) {
        const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
        text *name = name_of_stream(stream_id, snapshot);
        UnregisterSnapshot(snapshot);
        // Without a name (the first copy of table stream may come later) the next chunk asks again.
        last = {name != nullptr ? stream_id : 0, name != nullptr ? stream_name(name, "stream").key : 0, 0,
                rights_generation()};
    }
    watch_transaction_ends();
    note_touched(last.key, stream_id, &last.mark);
}

int64 append(const StreamName &name, const Batch &batch) {
    PreventCommandIfReadOnly(batch.function);
    PreventCommandIfParallelMode(batch.function);
    PreventCommandDuringRecovery(batch.function);
    watch_transaction_ends();

    for (;;) {
        CachedStream *stream = open_for_append(name);
        const int64 stream_id = stream->id;
        const Relation chunks = table_open(tables().chunk, RowExclusiveLock);
        const core::StreamKey key = stream_key(RelationGetRelid(chunks), stream_id);
        const AppendLock lock(stream_id);

        Datum one;
        auto *data =
            batch.count == 1 ? &one : static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(batch.count)));
        for (int i = 0; i < batch.count; ++i)
            data[i] = ready_to_store(chunks, batch.data[i]);
        Batch ready = batch;
        ready.data = data;
        note_touched(name.key, stream_id, &stream->touched);

        Place place = {TailState::open, 0, InvalidTransactionId};
        ProducerVerdict verdict = {ProducerState::next, 0, 0, 0, InvalidTransactionId};
        const Prepared prepared = prepare(chunks, stream_id, ready);
        lock.acquire();
        if (batch.producer != nullptr)
            verdict = judge_producer(stream_id, *batch.producer);
        if (verdict.state == ProducerState::next) {
            if (batch.expected != nullptr || !give_ids(key, ready.count, ready.eof, &place.id))
                place = look_at_tail(chunks, key, ready);
            if (place.state == TailState::open) {
                if (prepared.tuple != nullptr)
                    insert_one(chunks, prepared, stream_id, place.id);
                else if (prepared.plain)
                    insert_batch(chunks, prepared, stream_id, place.id, ready);
                else
                    insert_with_everything(chunks, stream_id, place.id, ready);
                if (batch.producer != nullptr)
                    record_producer(stream_id, *batch.producer, place.id + batch.count - 1);
            }
        }
        lock.release();

        if (prepared.tuple != nullptr)
            heap_freetuple(prepared.tuple);
        if (prepared.plain)
            index_close(prepared.index, NoLock);
        table_close(chunks, NoLock);
        switch (verdict.state) {
        case ProducerState::next:
            break;
        case ProducerState::repeat:
            return verdict.id;
        case ProducerState::undecided:
            XactLockTableWait(verdict.wait_for, nullptr, nullptr, XLTW_None);
            continue;
        default:
            refuse_producer(verdict, *batch.producer);
        }
        switch (place.state) {
        case TailState::open:
            if (batch.producer != nullptr)
                prune_producer(stream_id, *batch.producer);
            return place.id + batch.count - 1;
        case TailState::closed:
            if (batch.close)
                return place.id;
            ereport(ERROR, (errcode(kStreamClosed), errmsg("stream \"%.*s\" is closed", name.size, name.data),
                            errdetail("Its end was stored as chunk " INT64_FORMAT ".", place.id),
                            errhint("A closed stream takes no more chunks; use another stream name.")));
            break;
        case TailState::unexpected:
            ereport(ERROR, (errcode(kExpectedMismatch),
                            errmsg("stream \"%.*s\" is not at the expected chunk " INT64_FORMAT, name.size, name.data,
                                   *batch.expected),
                            errdetail("The highest id stored is " INT64_FORMAT ".", place.id),
                            errhint("Read what has been appended since, then try again with this id.")));
            break;
        case TailState::deleted:
            forget_stream(name);
            break;
        case TailState::undecided:
            XactLockTableWait(place.wait_for, nullptr, nullptr, XLTW_None);
            break;
        }
        CHECK_FOR_INTERRUPTS();
    }
}

}  // namespace rill

namespace rill {

namespace {

// Arguments 2 and up, the same for stream_append and stream_append_many: eof, expected, producer and its two numbers.
Datum append_with_options(FunctionCallInfo fcinfo, const char *function, const StreamName &name, const Datum *data,
                          int count) {
    int64 expected = 0;
    Producer producer;
    Batch batch = {function, data, count, false, false, nullptr, nullptr};
    if (PG_ARGISNULL(2))
        refuse_null("eof");
    batch.eof = PG_GETARG_BOOL(2);
    if (!PG_ARGISNULL(3)) {
        expected = PG_GETARG_INT64(3);
        if (expected < 0)
            ereport(
                ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("argument \"expected\" must not be negative: " INT64_FORMAT, expected),
                 errhint(
                     "Give the highest id that the stream should have, or 0 for a stream that never held a chunk.")));
        batch.expected = &expected;
    }
    if (producer_arguments(fcinfo, 4, &producer))
        batch.producer = &producer;
    if (count == 0)
        PG_RETURN_NULL();
    const int64 id = append(name, batch);
    if (id == 0)
        PG_RETURN_NULL();
    return Int64GetDatum(id);
}

}  // namespace

}  // namespace rill

// stream_append(stream text, data bytea, eof boolean, expected bigint, producer text, producer_epoch int, producer_seq
// bigint) returns bigint
RILL_FUNCTION(pg_rill_append) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    if (PG_ARGISNULL(1))
        refuse_null("data");
    const Datum data = PG_GETARG_DATUM(1);
    check_chunk_size(data, "data");
    return append_with_options(fcinfo, "stream_append()", name, &data, 1);
}

// stream_append_many(stream text, data bytea[], ...the same) returns bigint
RILL_FUNCTION(pg_rill_append_many) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    Datum *data;
    int count;
    array_argument(fcinfo, 1, "data", BYTEAOID, &data, nullptr, &count);
    for (int i = 0; i < count; ++i)
        check_chunk_size(data[i], "data");
    return append_with_options(fcinfo, "stream_append_many()", name, data, count);
}

// stream_close(stream text) returns bigint
RILL_FUNCTION(pg_rill_close) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    const Datum nothing = PointerGetDatum(cstring_to_text_with_len("", 0));
    return Int64GetDatum(append(name, Batch{"stream_close()", &nothing, 1, true, true, nullptr, nullptr}));
}
