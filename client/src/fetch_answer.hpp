// Applies the answer of one stream_fetch to the readers in its batch: chunks go into their buffers and their cursors
// move behind these; an error goes to the readers whose cursor it is about.
//
// Why no chunk is lost or repeated here: an answer only adds what stands behind the cursor that its entry named; a page
// must begin behind that cursor, with ids that increase; and the cursor moves with the pages, in one step, before the
// next query is put together. Situations it must survive: answers that make no sense (the connection is closed),
// malformed pages (their readers fail), chunks of another run of the server behind an unbroken connection (a pooler in
// front of a promoted standby), readers that were stopped meanwhile. Loop thread only.
#pragma once

#include "batch.hpp"
#include "counters.hpp"
#include "monotonic.hpp"
#include "page.hpp"
#include "pq.hpp"
#include "registry.hpp"
#include "rescues.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace rill::detail {

// Ends a reader with an error.
void fail_reader(Registry &registry, Counters &counters, Subscription &subscription, const Error &error);

class FetchAnswer {
public:
    // `listening`: LISTEN is in place, so chunks that a poll finds may have to be reported.
    FetchAnswer(Registry &registry, Rescues &rescues, Counters &counters, Batch &batch, bool listening, TimePoint now)
        : registry_(registry), rescues_(rescues), counters_(counters), batch_(batch), listening_(listening), now_(now) {
    }

    // Applies the rows and finishes every reader in the batch. Throws Error 08P01 when they make no sense; some readers
    // are not finished then.
    void apply(const Result &rows);
    // The query ended without an answer for any stream: finishes every reader.
    void apply_nothing() { finish_rest(); }

    // The limits of the query had no room for some of its streams.
    [[nodiscard]] bool left_out() const noexcept { return left_out_; }
    [[nodiscard]] std::uint64_t pages() const noexcept { return pages_; }

private:
    struct Pages {
        std::vector<Page> pages;
        PageSummary summary;  // of them all
    };

    void apply_stream(const Result &rows, int row, int end);
    void apply_error(const Batch::Entry &entry, const Error &error);
    void apply_pages(const Batch::Entry &entry, const Pages &pages, bool more);
    [[nodiscard]] static std::optional<Pages> read_pages(const Result &rows, int row, int end, std::int64_t cursor);
    void finish_rest();
    void finish(Subscription &subscription, bool more);
    void resume(Subscription &subscription, const Pages &pages);
    void deliver(Subscription &subscription, const Pages &pages, bool listening);

    Registry &registry_;
    Rescues &rescues_;
    Counters &counters_;
    Batch &batch_;
    const bool listening_;
    const TimePoint now_;
    bool left_out_ = false;
    std::uint64_t pages_ = 0;
};

}  // namespace rill::detail
