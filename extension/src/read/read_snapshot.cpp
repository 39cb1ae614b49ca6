// See read_snapshot.hpp.
#include "read/read_snapshot.hpp"

#include "tables/catalog.hpp"

namespace rill {

void ReadSnapshot::begin(MemoryContext memory) {
    memory_ = memory;
    AcceptInvalidationMessages();
    // The lock comes first: a snapshot taken before waiting for a lock would grow old meanwhile.
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
    // The lock is released at once. But who was handed rows of a kept snapshot may detoast them later: as after any
    // scan, the table then stays as it is until the transaction's end.
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

void ReadSnapshot::open_scan() {
    scan_.open(chunks_, snapshot());
    scanning_ = true;
}

}  // namespace rill
