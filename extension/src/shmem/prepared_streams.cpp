// See prepared_streams.hpp.
#include "shmem/prepared_streams.hpp"

namespace rill {

namespace {

constexpr const char *kTranche = "PgRillPreparedStreams";

struct Table {
    uint64 serial;  // of the newest entry
};
Table *table = nullptr;              // null without shared memory
PreparedStreams *entries = nullptr;  // [max_prepared_xacts], behind the table
LWLock *table_lock = nullptr;        // protects both

Size area_size() {
    return add_size(MAXALIGN(sizeof(Table)), mul_size(static_cast<Size>(max_prepared_xacts), sizeof(*entries)));
}

// The entry of this identifier, else the one to use for it: a free one or the oldest.
PreparedStreams *entry_for(uint64 gid) {
    PreparedStreams *chosen = &entries[0];
    for (int i = 0; i < max_prepared_xacts; ++i) {
        PreparedStreams *entry = &entries[i];
        if (entry->gid == gid)
            return entry;
        if (chosen->gid != 0 && (entry->gid == 0 || entry->serial < chosen->serial))
            chosen = entry;
    }
    return chosen;
}

}  // namespace

void request_prepared_streams() {
    RequestAddinShmemSpace(area_size());
    RequestNamedLWLockTranche(kTranche, 1);
}

void attach_prepared_streams() {
    (void) attach_area("pg_rill prepared streams", area_size(), &table);
    entries = reinterpret_cast<PreparedStreams *>(reinterpret_cast<char *>(table) + MAXALIGN(sizeof(Table)));
    table_lock = &GetNamedLWLockTranche(kTranche)->lock;
}

void store_prepared_streams(const PreparedStreams &entry) {
    LWLockAcquire(table_lock, LW_EXCLUSIVE);
    PreparedStreams *stored = entry_for(entry.gid);
    *stored = entry;
    stored->serial = ++table->serial;
    LWLockRelease(table_lock);
}

bool take_prepared_streams(uint64 gid, PreparedStreams *entry) {
    bool found = false;
    LWLockAcquire(table_lock, LW_EXCLUSIVE);
    for (int i = 0; i < max_prepared_xacts && !found; ++i)
        if (entries[i].gid == gid) {
            *entry = entries[i];
            entries[i].gid = 0;
            found = true;
        }
    LWLockRelease(table_lock);
    return found;
}

}  // namespace rill
