// One query for chunks: each stream once, and the readers that wait for its answer. Loop thread only.
//
// Several readers may follow a stream, at the same cursor or at different ones, but the server takes each stream once
// in a query: an entry serves all the readers that stand at one cursor of the stream.
#pragma once

#include "subscription.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rill::detail {

struct Batch {
    static constexpr std::uint32_t kNone = 0xffffffff;

    struct Entry {
        const std::string *name;  // valid until the query has been sent
        Position from;            // chunks after this are fetched
        bool resuming;            // that includes the chunk at the readers' cursor
        std::uint32_t first;      // in `waiters`
        bool answered = false;
    };
    struct Waiter {
        std::shared_ptr<Subscription> reader;
        std::uint32_t next;  // of the same entry
    };

    std::vector<Entry> entries;
    std::vector<Waiter> waiters;
    bool verify = false;   // the query verifies the cursors
    bool waiting = false;  // it waits in the server for news

    void clear() {
        entries.clear();
        waiters.clear();
        verify = waiting = false;
    }

    template <typename F>
    void each_waiter(const Entry &entry, F &&function) const {
        for (std::uint32_t index = entry.first; index != kNone; index = waiters[index].next)
            function(*waiters[index].reader);
    }
};

}  // namespace rill::detail
