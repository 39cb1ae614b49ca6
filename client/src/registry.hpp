// Which streams are followed, and by which readers. Indexed by name and by the id in the NOTIFY payloads, so a wake-up
// costs what it names, not what is followed. Who is fetched for next is its FetchQueue's.
//
// Loop thread only. Situations it must survive: a reader removed while its query is under way, ids of streams that
// nobody here follows, streams that are created later, streams whose id changes (deleted and created again).
#pragma once

#include "batch.hpp"
#include "fetch_queue.hpp"
#include "followed_stream.hpp"
#include "subscription.hpp"

#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace rill::detail {

class Registry {
public:
    Registry() = default;
    Registry(const Registry &) = delete;
    Registry &operator=(const Registry &) = delete;

    void add(const std::shared_ptr<Subscription> &subscription);
    void remove(Subscription &subscription);
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t streams() const noexcept { return streams_.size(); }

    [[nodiscard]] FetchQueue &queue() noexcept { return queue_; }

    void wake_all(FetchReason reason);
    // For the readers of the stream with this id. If nobody follows it, for the readers whose stream has no id yet:
    // their next query verifies, so that it has a row, with the id, for each stream that exists. Once all of them have
    // been fetched for and none has the id, no stream that is followed does, and the id wakes no reader again.
    void wake_id(std::int64_t stream_id, FetchReason reason);
    // An answer contained the stream's id; 0 if it does not exist.
    void set_id(FollowedStream &stream, std::int64_t stream_id);
    // The stream, if it is followed.
    [[nodiscard]] FollowedStream *find(std::string_view name) noexcept;

    // A new read connection: the batch under way is void, each cursor has to be verified, and everybody is fetched for.
    void start_over(Batch &void_batch);

    // Puts together a query that waits for news of all streams whose readers have nothing else to be fetched for, at
    // most `limit`. Until it has its answer, NOTIFYs do not wake those readers: the same chunks end the query's wait,
    // and the caller fetches for all of the readers afterwards unless it waits again at once. False if there are none.
    [[nodiscard]] bool take_waiting(Batch &batch, std::size_t limit);
    // A reader was removed since then that waited.
    [[nodiscard]] bool waiting_reader_removed() const noexcept { return waiting_reader_removed_; }

    template <typename F>
    void each(F &&function) {
        for (auto &[name, stream] : streams_)
            for (const auto &reader : stream->readers)
                function(*reader);
    }

private:
    static constexpr std::size_t kMaxUnfollowed = 65'536;

    std::unordered_map<std::string_view, std::unique_ptr<FollowedStream>> streams_;  // the keys are the streams' names
    std::unordered_map<std::int64_t, FollowedStream *> by_id_;
    std::unordered_set<FollowedStream *> without_id_;
    std::unordered_set<std::int64_t> unfollowed_;  // ids for which the readers of streams without one were woken
    std::size_t size_ = 0;
    FetchQueue queue_;
    bool waiting_reader_removed_ = false;
};

}  // namespace rill::detail
