// See append_statement.hpp.
#include "append_statement.hpp"

#include "arguments.hpp"

#include <array>
#include <cstddef>
#include <string>

namespace rill {
namespace {

constexpr std::array<std::string_view, 8> kOutcomes = {"missing", "fenced", "repeat",   "closed",
                                                       "gap",     "stale",  "mismatch", "stored"};

}  // namespace

std::string_view to_string(AppendOutcome outcome) noexcept {
    const auto index = static_cast<std::size_t>(outcome);
    return index < kOutcomes.size() ? kOutcomes[index] : "unknown";
}

namespace detail {

Params append_params(std::string_view stream, ArrayParam &&data, const TryAppendOptions &options) {
    check_stream_name(stream);
    Params params;
    params.text(stream).array(kByteaArrayOid, std::move(data)).boolean(options.eof).int8(options.expected);
    if (options.producer) {
        check_name(options.producer->name, "producer");
        params.text(options.producer->name).int8(options.producer->epoch).int8(options.producer->seq);
    } else {
        params.null(kTextOid).null(kInt8Oid).null(kInt8Oid);
    }
    if (options.writer_seq) {
        check_name(*options.writer_seq, "writer_seq");
        params.text(*options.writer_seq);
    } else {
        params.null(kTextOid);
    }
    params.boolean(options.create_stream);
    return params;
}

std::string append_sql(const std::string &schema) {
    return "SELECT outcome, chunk_id, producer_epoch, producer_seq, closed FROM " + schema +
           "stream_try_append($1, $2, $3, $4, $5, $6, $7, $8, $9)";
}

AppendResult read_append_result(const Result &rows) {
    AppendResult result;
    const std::string_view outcome = rows.one_row().text(0, 0);
    std::size_t index = 0;
    while (index < kOutcomes.size() && kOutcomes[index] != outcome)
        ++index;
    if (index == kOutcomes.size())
        throw unexpected_answer("an append's outcome that this version of librill does not know");
    result.outcome = static_cast<AppendOutcome>(index);
    result.chunk_id = rows.optional_int8(0, 1);
    result.producer_epoch = rows.optional_int8(0, 2);
    result.producer_seq = rows.optional_int8(0, 3);
    result.closed = rows.boolean(0, 4);
    return result;
}

Error refusal(std::string_view stream, const AppendResult &result, std::int64_t next_seq) {
    const std::string name = "stream \"" + std::string(stream) + "\"";
    const auto text = [](std::optional<std::int64_t> value) { return value ? std::to_string(*value) : "unknown"; };
    switch (result.outcome) {
    case AppendOutcome::missing:
        return {name + " does not exist", {.sqlstate = "RL007", .hint = "Create it, or append with create_stream."}};
    case AppendOutcome::closed:
        return {name + " is closed",
                {.sqlstate = "RL001",
                 .hint = "A closed stream accepts no more chunks. Append to another stream.",
                 .chunk_id = result.chunk_id}};
    case AppendOutcome::mismatch:
        return {name + " is not at the expected chunk id",
                {.sqlstate = "RL004",
                 .detail = "The highest stored id is " + text(result.chunk_id) + ".",
                 .chunk_id = result.chunk_id}};
    case AppendOutcome::fenced:
        return {"this epoch of the producer has been fenced off",
                {.sqlstate = "RL005",
                 .detail = "The highest epoch seen is " + text(result.producer_epoch) + ".",
                 .hint = "Another instance has taken over. Stop this one.",
                 .producer_epoch = result.producer_epoch}};
    case AppendOutcome::gap:
        return {"the producer has left out a sequence number",
                {.sqlstate = "RL006",
                 .detail = "The next sequence is " + std::to_string(next_seq) + ".",
                 .next_seq = next_seq}};
    case AppendOutcome::stale:
    case AppendOutcome::repeat:
    case AppendOutcome::stored:
        break;
    }
    return {"unexpected outcome of an append: " + std::string(to_string(result.outcome)), {.sqlstate = "08P01"}};
}

}  // namespace detail
}  // namespace rill
