// See retention_queue.hpp.
// The launcher is woken once between two visits to the database: `retention_wanted` stays set until it starts one.
#include "shmem/retention_queue.hpp"

#include "base/settings.hpp"
#include "shmem/launcher_state.hpp"

namespace rill {

namespace {

core::IdSlot *queues = nullptr;   // [max_databases * capacity()] streams appended to
core::IdSlot *touched = nullptr;  // the same for streams touched

uint32 capacity() {
    return static_cast<uint32>(power_of_two_at_least(Max(wake_queue_size, static_cast<int>(core::IdSet::kWays))));
}

Size area_size() {
    return mul_size(mul_size(static_cast<Size>(max_databases), static_cast<Size>(capacity())), sizeof(*queues));
}

core::IdSet set_of(core::IdSlot *sets, const DatabaseSlot *slot) {
    return {sets + (slot - database_slots) * capacity(), capacity()};
}

bool take(core::IdSlot *sets, const DatabaseSlot *slot, uint32 *position, int64 *ids, int room, int *count) {
    *count = slot == nullptr ? 0 : static_cast<int>(set_of(sets, slot).take(position, ids, static_cast<uint32>(room)));
    return *count > 0;
}

}  // namespace

void request_retention_queues() { RequestAddinShmemSpace(mul_size(2, area_size())); }

void attach_retention_queues() {
    (void) attach_area("pg_rill retention queues", area_size(), &queues);
    (void) attach_area("pg_rill touched streams", area_size(), &touched);
}

void clear_retention_queue(DatabaseSlot *slot) {
    int64 ids[64];
    int count;
    for (uint32 position = 0; take_for_retention(slot, &position, ids, lengthof(ids), &count);) {
    }
    for (uint32 position = 0; take_touched(slot, &position, ids, lengthof(ids), &count);) {
    }
    // What was queued before the database lost a slot is not known. The walk comes with the next visit: a database that
    // has no limits gets none for this.
    pg_atomic_write_u32(&slot->retention_walk, static_cast<uint32>(Walk::appended));
    pg_atomic_write_u32(&slot->retention_wanted, 0);
}

void request_visit(DatabaseSlot *slot) {
    if (slot != nullptr && pg_atomic_read_u32(&slot->retention_wanted) == 0 &&
        pg_atomic_exchange_u32(&slot->retention_wanted, 1) == 0)
        wake_launcher();
}

void queue_for_retention(DatabaseSlot *slot, int64 stream_id) {
    if (slot == nullptr)
        return;
    switch (set_of(queues, slot).put(stream_id)) {
    case core::IdSet::Put::there:
        return;
    case core::IdSet::Put::full:
        queue_walk(slot, Walk::appended);
        return;
    case core::IdSet::Put::added:
        break;
    }
    request_visit(slot);
}

bool queue_touch(DatabaseSlot *slot, int64 stream_id) {
    if (slot == nullptr || set_of(touched, slot).put(stream_id) == core::IdSet::Put::full)
        return false;
    request_visit(slot);
    return true;
}

bool is_touch_queued(DatabaseSlot *slot, int64 stream_id) {
    return slot != nullptr && set_of(touched, slot).contains(stream_id);
}

void queue_walk(DatabaseSlot *slot, Walk walk) {
    if (slot == nullptr)
        return;
    const auto wanted = static_cast<uint32>(walk);
    for (uint32 found = pg_atomic_read_u32(&slot->retention_walk);
         found < wanted && !pg_atomic_compare_exchange_u32(&slot->retention_walk, &found, wanted);) {
    }
    request_visit(slot);
}

bool take_for_retention(DatabaseSlot *slot, uint32 *position, int64 *ids, int room, int *count) {
    return take(queues, slot, position, ids, room, count);
}

bool take_touched(DatabaseSlot *slot, uint32 *position, int64 *ids, int room, int *count) {
    return take(touched, slot, position, ids, room, count);
}

Walk take_walk(DatabaseSlot *slot) {
    return slot == nullptr ? Walk::appended : static_cast<Walk>(pg_atomic_exchange_u32(&slot->retention_walk, 0));
}

}  // namespace rill
