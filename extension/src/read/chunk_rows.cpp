// See chunk_rows.hpp.
//
// The row's columns are fixed and never null, so it is laid out here, once and in place. heap_form_minimal_tuple(),
// behind tuplestore_putvalues(), goes over the columns twice and allocates anew for each row: stream_read_many of
// 10,000 chunks of 100 bytes then takes 40.4 million instructions in place of 34.4.
#include "read/chunk_rows.hpp"

namespace rill {

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

ChunkRows::ChunkRows(ReturnSetInfo *out) : out_(out), context_(CurrentMemoryContext) {
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

}  // namespace rill
