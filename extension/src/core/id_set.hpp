// A bounded set of stream ids that many processes add to and one empties, without a lock.
// Pure C++. An id goes into one of a few slots that its hash chooses; adding one that is there already only reads them.
// Full: put() says so, and the caller must remember "everything" instead.
// Why nothing is lost: an id that was added, or found, stays until take() exchanges its slot, so what its adder did
// before it called put() is visible to whoever takes the id afterwards. put() has a full barrier for that.
#pragma once
#include <atomic>
#include <cstdint>

namespace rill::core {

using IdSlot = std::atomic<std::int64_t>;  // 0: free
static_assert(IdSlot::is_always_lock_free, "shared between processes");

struct IdSet {
    static constexpr std::uint32_t kWays = 8;
    enum class Put : std::uint8_t { added, there, full };

    IdSlot *slots;
    std::uint32_t capacity;  // a power of two, at least kWays

    [[nodiscard]] Put put(std::int64_t id) const {
        std::atomic_thread_fence(std::memory_order_seq_cst);
        if (id == 0)
            return Put::full;
        IdSlot *way = slots + first_way(id);
        for (IdSlot *const end = way + kWays; way != end; ++way) {
            std::int64_t found = way->load(std::memory_order_relaxed);
            if (found == 0 && way->compare_exchange_strong(found, id))
                return Put::added;
            if (found == id)
                return Put::there;
        }
        return Put::full;
    }

    [[nodiscard]] bool contains(std::int64_t id) const {
        for (std::uint32_t i = 0; i < kWays; ++i)
            if (slots[first_way(id) + i].load(std::memory_order_relaxed) == id)
                return true;
        return false;
    }

    // Takes ids out of the slots from *position on, at most `room`; returns how many. *position moves on, and is
    // `capacity` when the whole set has been gone through.
    std::uint32_t take(std::uint32_t *position, std::int64_t *ids, std::uint32_t room) const {
        std::uint32_t taken = 0;
        for (; *position < capacity && taken < room; ++*position)
            if (slots[*position].load(std::memory_order_relaxed) != 0)
                ids[taken++] = slots[*position].exchange(0);
        return taken;
    }

private:
    [[nodiscard]] std::uint32_t first_way(std::int64_t id) const {
        const std::uint64_t hash = static_cast<std::uint64_t>(id) * 0x9E3779B97F4A7C15U;
        return static_cast<std::uint32_t>(hash >> 32U) & (capacity - 1) & ~(kWays - 1);
    }
};

}  // namespace rill::core
