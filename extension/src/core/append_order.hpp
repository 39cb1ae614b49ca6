// Whether an append may follow what is stored, by the place that its writer claims for it: a producer's epoch and
// sequence, or a writer_seq. Pure C++.
#pragma once
#include <cstdint>
#include <string_view>

namespace rill::core {

// A producer that is unknown has epoch and sequence 0. Otherwise sequences begin with 1 in each epoch.
struct ProducerPlace {
    std::int64_t epoch;
    std::int64_t seq;
};

enum class PlaceVerdict : std::uint8_t {
    next,
    repeat,  // it was accepted before
    fenced,  // by a higher epoch
    gap,
};

// The one sequence that may be next in this epoch, which is not below the last one's.
constexpr std::int64_t next_sequence(std::int64_t epoch, ProducerPlace last) {
    return epoch == last.epoch ? last.seq + 1 : 1;
}

// `last` is the producer's last accepted append.
constexpr PlaceVerdict judge_place(ProducerPlace append, ProducerPlace last) {
    if (append.epoch < last.epoch)
        return PlaceVerdict::fenced;
    if (append.epoch == last.epoch && append.seq <= last.seq)
        return PlaceVerdict::repeat;
    return append.seq == next_sequence(append.epoch, last) ? PlaceVerdict::next : PlaceVerdict::gap;
}

// Byte by byte, as unsigned numbers; the beginning of a value is below it.
constexpr bool is_above(std::string_view value, std::string_view last) { return value > last; }

}  // namespace rill::core
