// The append lock of a stream: ids are given, and rows and index entries inserted, under it. It is a heavyweight lock,
// as inserting can wait for other locks (README). It is released long before the transaction ends, and its holder never
// waits for a transaction.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

class AppendLock {
public:
    explicit AppendLock(int64 stream_id) {
        constexpr uint16 kLockClass = 0x7269;  // "ri": advisory locks of SQL have 1 and 2 here
        SET_LOCKTAG_ADVISORY(tag_, MyDatabaseId, static_cast<uint32>(static_cast<uint64>(stream_id) >> 32),
                             static_cast<uint32>(stream_id), kLockClass);
    }
    // A heavyweight lock is granted to the first process in its queue, which then holds it until it is scheduled: with
    // many writers on few processors that is a lock convoy. So we join the queue, which detects deadlocks and can be
    // cancelled, only after some short pauses (about 5 ms in all).
    void acquire() const {
        double pause = 20;  // us
        for (int tries = 0; tries < 12; ++tries, pause *= 1.5) {
            if (try_acquire())
                return;
            pg_usleep(static_cast<long>(pause));
            CHECK_FOR_INTERRUPTS();
        }
        (void) LockAcquire(&tag_, ExclusiveLock, false, false);
    }
    [[nodiscard]] bool try_acquire() const {
        return LockAcquire(&tag_, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
    }
    // On an error the abort of the (sub)transaction releases it.
    void release() const { LockRelease(&tag_, ExclusiveLock, false); }

private:
    LOCKTAG tag_;
};
static_assert(std::is_trivially_destructible_v<AppendLock>);

}  // namespace rill
