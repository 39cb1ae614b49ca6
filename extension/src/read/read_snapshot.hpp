// One fresh snapshot to read chunks under (the transaction's own under REPEATABLE READ), with the chunk table locked
// and open and one scan of it. Everything that reads goes through here, so that one answer never mixes two moments.
//
// Must survive: waits inside a transaction (the lock is released with the snapshot, so that a waiting session does not
// hold up DDL); a result that is read long after the call that began it has returned (keep()); errors anywhere (the
// resource owner cleans up).
#pragma once
#include "tables/chunk_scan.hpp"
#include "tables/policy_check.hpp"

namespace rill {

class ReadSnapshot {
public:
    // From here to end() the snapshot is active. scan() lives in `memory`, and so must everything that the scan
    // allocates while it moves if the snapshot is to be kept.
    void begin(MemoryContext memory = CurrentMemoryContext);
    void end();
    // The snapshot outlives the function that began it: it is no longer active but registered. end() must come under
    // the same resource owner.
    void keep();
    [[nodiscard]] bool kept() const { return kept_ != nullptr; }

    [[nodiscard]] MemoryContext memory() const { return memory_; }
    [[nodiscard]] Relation chunks() const { return chunks_; }
    [[nodiscard]] Snapshot snapshot() const { return kept_ != nullptr ? kept_ : GetActiveSnapshot(); }
    // rights_generation() as it was before the snapshot was taken.
    [[nodiscard]] uint64 generation() const { return generation_; }
    // Opened when first used.
    ChunkScan &scan() {
        if (!scanning_)
            open_scan();
        return scan_;
    }
    // Whether the policies let the caller see this stream. Only when policies_apply().
    bool may_see(int64 stream_id);

private:
    void open_scan();
    void end_judging();

    MemoryContext memory_;
    Relation chunks_;
    uint64 generation_;
    ChunkScan scan_;
    bool scanning_;
    PolicyCheck policies_;
    bool judging_;
    Snapshot kept_;
};
static_assert(std::is_trivially_destructible_v<ReadSnapshot>);

}  // namespace rill
