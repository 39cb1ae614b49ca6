// Which streams are followed, and by which readers. Indexed by name and by the id in the NOTIFY payloads, so the cost
// of a wake-up depends on the streams that it names, not on how many are followed. The FetchQueue decides which reader
// is fetched for next.
//
// Loop thread only. Situations it must survive: a reader removed while its query is under way, ids of streams that no
// reader here follows, streams that are created later, streams whose id changes (deleted and created again).
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
#include <vector>

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
    // Wakes the readers of the stream with this id. If there are none, but readers whose stream has no id yet, the id
    // is one of those whose names are to be asked for: the cost is that of the ids, not of the streams that are not
    // there.
    void wake_id(std::int64_t stream_id, FetchReason reason);
    [[nodiscard]] bool has_unknown_ids() const noexcept { return !unknown_.empty(); }
    // The ids whose names are asked for now. From now on they wake no reader, unless named() finds that one follows the
    // stream.
    [[nodiscard]] std::vector<std::int64_t> take_unknown_ids();
    // Fetches for the readers whose stream has no id yet, and verifies their cursors, so that the answers have the ids:
    // where their names cannot be asked for.
    void doubt_without_id(FetchReason reason);
    // The server says which stream has the id.
    void named(std::int64_t stream_id, std::string_view name, FetchReason reason);
    // An answer contained the stream's id; 0 if it does not exist.
    void set_id(FollowedStream &stream, std::int64_t stream_id);
    // The stream, if it is followed.
    [[nodiscard]] FollowedStream *find(std::string_view name) noexcept;

    // A new read connection: the batch under way is void, each cursor must be verified, and all readers are fetched
    // for.
    void start_over(Batch &void_batch);

    // Builds a query that waits for news of all streams whose readers have nothing else to fetch, at most `limit`.
    // Until it is answered, NOTIFYs do not wake those readers: the same chunks end the query's wait, and the caller
    // fetches for all of the readers afterwards unless it waits again at once. False if there are none.
    [[nodiscard]] bool take_waiting(Batch &batch, std::size_t limit);
    // A reader that waited has been removed since then.
    [[nodiscard]] bool waiting_reader_removed() const noexcept { return waiting_reader_removed_; }

    template <typename F>
    void each(F &&function) {
        for (auto &[name, stream] : streams_)
            for (const auto &reader : stream->readers)
                function(*reader);
    }

private:
    static constexpr std::size_t kMaxIds = 65'536;  // in a set of ids

    std::unordered_map<std::string_view, std::unique_ptr<FollowedStream>> streams_;  // the keys are the streams' names
    std::unordered_map<std::int64_t, FollowedStream *> by_id_;
    std::unordered_set<FollowedStream *> without_id_;
    std::unordered_set<std::int64_t> unknown_;     // ids whose names are to be asked for
    std::unordered_set<std::int64_t> unfollowed_;  // ids whose names have been
    std::size_t size_ = 0;
    FetchQueue queue_;
    bool waiting_reader_removed_ = false;
};

}  // namespace rill::detail
