// See database_slot.hpp.
#include "shmem/database_slot.hpp"

#include "base/monotonic_clock.hpp"
#include "base/settings.hpp"
#include "shmem/retention_queue.hpp"

namespace rill {

DatabaseSlot *database_slots = nullptr;

namespace {

static_assert(std::is_trivially_destructible_v<DatabaseSlot> && std::is_standard_layout_v<DatabaseSlot>);

constexpr const char *kTranche = "PgRillDatabaseSlots";

constexpr int64 kRetryAfter = USECS_PER_SEC;

struct Header {
    bool full;  // a session found no slot, and none has been taken since
};
Header *header = nullptr;       // the slots and the rings are behind it
int64 *rings = nullptr;         // [max_databases * ring_size()], each protected by its slot's mutex
LWLock *taking_lock = nullptr;  // protects the header; held to take a slot, so that no database takes two
DatabaseSlot *my_slot = nullptr;

int ring_size() { return power_of_two_at_least(wake_queue_size); }
int64 *ring_of(const DatabaseSlot *slot) { return rings + (slot - database_slots) * ring_size(); }

Size slots_size() { return MAXALIGN(mul_size(static_cast<Size>(max_databases), sizeof(DatabaseSlot))); }
Size area_size() {
    const Size rings_size =
        mul_size(mul_size(static_cast<Size>(max_databases), static_cast<Size>(ring_size())), sizeof(*rings));
    return add_size(MAXALIGN(sizeof(Header)), add_size(slots_size(), rings_size));
}

std::array<pg_atomic_uint64 *, 9> counters_of(DatabaseSlot *slot) {
    return {&slot->wakeups, &slot->queued,  &slot->coalesced, &slot->notifies,    &slot->overflows,
            &slot->rescues, &slot->trimmed, &slot->deleted,   &slot->retention_at};
}

extern "C" void rill_detach_slot(int, Datum) {
    if (my_slot == nullptr)
        return;
    SpinLockAcquire(&my_slot->mutex);
    --my_slot->attached;
    SpinLockRelease(&my_slot->mutex);
    my_slot = nullptr;
}

// What attach_database_slot() looks for, in this order.
enum class Wanted { own, unused, unattached };

bool try_attach(DatabaseSlot *slot, Wanted wanted, TimestampTz now) {
    SpinLockAcquire(&slot->mutex);
    const bool own = slot->database == MyDatabaseId;
    const bool unused = slot->database == InvalidOid;
    const bool held = slot->attached > 0 || slot->notifier_state != NotifierState::absent;
    const bool take = !own && ((wanted == Wanted::unused && unused) || (wanted == Wanted::unattached && !held));
    if (own)
        ++slot->attached;
    if (take) {
        slot->database = MyDatabaseId;
        slot->attached = 1;
        slot->ring.init(static_cast<uint32>(ring_size()));
        slot->notifier_asleep = false;
        slot->since = now;
        for (pg_atomic_uint64 *counter : counters_of(slot))
            pg_atomic_write_u64(counter, 0);
    }
    SpinLockRelease(&slot->mutex);
    return own || take;
}

}  // namespace

void request_database_slots() {
    RequestAddinShmemSpace(area_size());
    RequestNamedLWLockTranche(kTranche, 1);
}

void attach_database_slots() {
    const bool is_new = attach_area("pg_rill database slots", area_size(), &header);
    char *slots = reinterpret_cast<char *>(header) + MAXALIGN(sizeof(Header));
    database_slots = reinterpret_cast<DatabaseSlot *>(slots);
    rings = reinterpret_cast<int64 *>(slots + slots_size());
    taking_lock = &GetNamedLWLockTranche(kTranche)->lock;
    for (int i = 0; is_new && i < max_databases; ++i) {
        DatabaseSlot *slot = &database_slots[i];
        SpinLockInit(&slot->mutex);
        slot->ring.init(static_cast<uint32>(ring_size()));
        pg_atomic_init_u32(&slot->listeners, 0);
        pg_atomic_init_u32(&slot->retention_wanted, 0);
        pg_atomic_init_u32(&slot->retention_walk, 0);
        for (pg_atomic_uint64 *counter : counters_of(slot))
            pg_atomic_init_u64(counter, 0);
    }
}

DatabaseSlot *my_database_slot() { return my_slot; }

DatabaseSlot *attach_database_slot(Retry retry) {
    static int64 not_before = 0;
    if (my_slot != nullptr || database_slots == nullptr || !OidIsValid(MyDatabaseId))
        return my_slot;
    if (retry == Retry::rarely && not_before > 0 && monotonic_now() < not_before)
        return nullptr;
    const TimestampTz now = GetCurrentTimestamp();
    bool taken = false;
    LWLockAcquire(taking_lock, LW_EXCLUSIVE);
    for (const Wanted wanted : {Wanted::own, Wanted::unused, Wanted::unattached})
        for (int i = 0; i < max_databases && my_slot == nullptr; ++i)
            if (try_attach(&database_slots[i], wanted, now)) {
                my_slot = &database_slots[i];
                taken = wanted != Wanted::own;
            }
    const bool first_to_find_none = my_slot == nullptr && !header->full;
    if (my_slot == nullptr || taken)
        header->full = my_slot == nullptr;
    if (taken)
        clear_retention_queue(my_slot);
    LWLockRelease(taking_lock);
    if (my_slot != nullptr) {
        on_shmem_exit(rill_detach_slot, 0);  // after the abort of an open transaction, which still wakes readers
        return my_slot;
    }
    not_before = monotonic_now() + kRetryAfter;
    if (first_to_find_none)
        ereport(LOG, (errmsg("pg_rill has no free slot for database %u", MyDatabaseId),
                      errhint("Increase \"pg_rill.max_databases\". Until then, no NOTIFY is sent to sessions in this "
                              "database, and clients find new chunks by polling.")));
    return nullptr;
}

Oid database_of(DatabaseSlot *slot) {
    SpinLockAcquire(&slot->mutex);
    const Oid database = slot->database;
    SpinLockRelease(&slot->mutex);
    return database;
}

void wake_notifier(DatabaseSlot *slot) {
    SpinLockAcquire(&slot->mutex);
    const int proc = slot->notifier_state == NotifierState::running ? slot->notifier_proc : -1;
    slot->notifier_asleep = false;
    SpinLockRelease(&slot->mutex);
    set_latch_of(proc);
}

void queue_wakeups(DatabaseSlot *slot, const int64 *ids, int count) {
    int queued = 0;
    int coalesced = 0;
    bool overflowed = false;
    int proc = -1;
    for (int i = 0; i < count && !overflowed;) {
        // In short steps: a spinlock must not be held over a long list.
        SpinLockAcquire(&slot->mutex);
        for (const int turn = Min(count, i + 64); i < turn && !overflowed; ++i)
            switch (slot->ring.put(ring_of(slot), ids[i])) {
            case core::WakeRing::Put::queued:
                ++queued;
                break;
            case core::WakeRing::Put::coalesced:
                ++coalesced;
                break;
            case core::WakeRing::Put::overflowed:
                overflowed = true;
                break;
            }
        if (slot->notifier_asleep && slot->notifier_state == NotifierState::running) {
            slot->notifier_asleep = false;
            proc = slot->notifier_proc;
        }
        SpinLockRelease(&slot->mutex);
    }
    if (queued > 0)
        pg_atomic_fetch_add_u64(&slot->queued, queued);
    if (coalesced > 0)
        pg_atomic_fetch_add_u64(&slot->coalesced, coalesced);
    if (overflowed)
        pg_atomic_fetch_add_u64(&slot->overflows, 1);
    set_latch_of(proc);
}

void queue_everything(DatabaseSlot *slot) {
    SpinLockAcquire(&slot->mutex);
    slot->ring.overflowed = true;
    SpinLockRelease(&slot->mutex);
    pg_atomic_fetch_add_u64(&slot->overflows, 1);
    wake_notifier(slot);
}

bool take_queued(DatabaseSlot *slot, int64 *ids, int room, int *count, bool *everything) {
    SpinLockAcquire(&slot->mutex);
    *count = static_cast<int>(slot->ring.take(ring_of(slot), ids, static_cast<uint32>(room), everything));
    const bool any = *everything || *count > 0;
    slot->notifier_asleep = !any;
    SpinLockRelease(&slot->mutex);
    return any;
}

}  // namespace rill
