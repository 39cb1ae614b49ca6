// The ring of stream ids between committing backends and the notifier of their database.
// Pure C++ and without a lock of its own: the caller holds the ring's lock for each call.
// A full ring loses ids but never the fact: `overflowed` makes the notifier announce "everything". An id that is still
// in the ring is not put in again; the small direct-mapped table of recent positions may forget it, which costs a
// repeat, not a loss.
#pragma once
#include <array>
#include <cstdint>

namespace rill::core {

struct WakeRing {
    static constexpr std::uint32_t kRecent = 256;
    struct Recent {
        std::int64_t id;
        std::uint64_t position;
    };

    enum class Put : std::uint8_t { queued, coalesced, overflowed };

    std::uint64_t head;      // position of the next id to take
    std::uint64_t tail;      // position the next id goes to
    std::uint32_t capacity;  // number of slots behind `slots`, a power of two
    bool overflowed;
    std::array<Recent, kRecent> recent;

    void init(std::uint32_t slot_count) {
        head = tail = 0;
        capacity = slot_count;
        overflowed = false;
        recent.fill(Recent{0, 0});
    }

    Put put(std::int64_t *slots, std::int64_t id) {
        if (overflowed)
            return Put::coalesced;  // "everything" covers it
        Recent &last = recent[static_cast<std::uint64_t>(id) % kRecent];
        if (last.id == id && last.position >= head && tail != head && last.position < tail)
            return Put::coalesced;
        if (tail - head == capacity) {
            overflowed = true;
            return Put::overflowed;
        }
        last = Recent{id, tail};
        slots[tail & (capacity - 1)] = id;
        ++tail;
        return Put::queued;
    }

    [[nodiscard]] bool empty() const { return head == tail && !overflowed; }

    // Takes up to `room` ids. `everything` is set, and the ring emptied, after an overflow.
    std::uint32_t take(const std::int64_t *slots, std::int64_t *out, std::uint32_t room, bool *everything) {
        *everything = overflowed;
        if (overflowed) {
            overflowed = false;
            head = tail;
            return 0;
        }
        std::uint32_t n = 0;
        while (n < room && head != tail)
            out[n++] = slots[head++ & (capacity - 1)];
        return n;
    }
};

}  // namespace rill::core
