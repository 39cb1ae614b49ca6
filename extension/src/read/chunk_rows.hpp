// Chunks as the rows of a function's result.
#pragma once
#include "base/postgres_api.hpp"
#include "tables/chunk_scan.hpp"

namespace rill {

// Rows (chunk_id, data, eof, appended_at, epoch) of a result, with the stream's name first if it has six columns.
class ChunkRows {
public:
    explicit ChunkRows(ReturnSetInfo *out);
    void put(const text *stream, const ChunkScan &chunk);

private:
    void grow(Size bytes);
    ReturnSetInfo *out_;
    MemoryContext context_;
    HeapTupleHeader row_ = nullptr;
    Size room_ = 0;
};
static_assert(std::is_trivially_destructible_v<ChunkRows>);

}  // namespace rill
