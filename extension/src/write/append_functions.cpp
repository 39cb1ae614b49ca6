// stream_append, stream_append_many, stream_close: their arguments, and errors for the outcomes that are no success.
#include "base/boundary.hpp"
#include "base/errors.hpp"
#include "write/append.hpp"

namespace rill {

namespace {

// Arguments 4 to 6 (name, epoch, sequence): all or none. Returns false when none is given.
bool producer_arguments(FunctionCallInfo fcinfo, Producer *producer) {
    constexpr int kFirst = 4;
    const char *const names[3] = {"producer", "producer_epoch", "producer_seq"};
    int given = 0;
    for (int i = 0; i < 3; ++i)
        given += PG_ARGISNULL(kFirst + i) ? 0 : 1;
    if (given == 0)
        return false;
    for (int i = 0; i < 3; ++i)
        if (PG_ARGISNULL(kFirst + i))
            ereport(
                ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                 errmsg("argument \"%s\" must not be null when other producer arguments are given", names[i]),
                 errhint("Specify \"producer\", \"producer_epoch\" and \"producer_seq\" together, or none of them.")));
    const StreamName name = stream_name(PG_GETARG_TEXT_PP(kFirst), "producer");
    *producer = {name.data, name.size, PG_GETARG_INT32(kFirst + 1), PG_GETARG_INT64(kFirst + 2)};
    if (producer->epoch < 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("argument \"producer_epoch\" must not be negative: %d", producer->epoch),
                        errhint("Epochs number the runs of a producer: 0, 1, 2, ...")));
    if (producer->seq < 1)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("argument \"producer_seq\" must be at least 1: " INT64_FORMAT, producer->seq),
                        errhint("Sequences number the appends of an epoch: 1, 2, 3, ...")));
    return true;
}

int64 expected_argument(FunctionCallInfo fcinfo) {
    const int64 expected = PG_GETARG_INT64(3);
    if (expected < 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("argument \"expected\" must not be negative: " INT64_FORMAT, expected),
                        errhint("Specify the highest id that the stream should have, or 0 for a stream that has never "
                                "held a chunk.")));
    return expected;
}

[[noreturn]] void refuse_append(const AppendRequest &request, const AppendOutcome &outcome) {
    const StreamName &stream = request.stream;
    const Producer *producer = request.producer;
    switch (outcome.status) {
    case AppendStatus::stored:
    case AppendStatus::repeat:
        break;
    case AppendStatus::closed:
        ereport(ERROR, (errcode(kStreamClosed), errmsg("stream \"%.*s\" is closed", stream.size, stream.data),
                        errdetail("The EOF is chunk " INT64_FORMAT ".", outcome.chunk_id),
                        errhint("A closed stream accepts no more chunks. Append to another stream.")));
        break;
    case AppendStatus::mismatch:
        ereport(ERROR, (errcode(kExpectedMismatch),
                        errmsg("stream \"%.*s\" is not at expected chunk id " INT64_FORMAT, stream.size, stream.data,
                               *request.expected),
                        errdetail("The highest stored id is " INT64_FORMAT ".", outcome.chunk_id),
                        errhint("Read the chunks appended since, then retry with the highest stored id.")));
        break;
    case AppendStatus::fenced:
        ereport(ERROR, (errcode(kProducerFenced),
                        errmsg("epoch %d of producer \"%.*s\" has been fenced off", producer->epoch, producer->size,
                               producer->name),
                        errdetail("The highest epoch seen is %d.", outcome.producer_epoch),
                        errhint("Another instance has taken over. Stop this one or start a higher epoch.")));
        break;
    case AppendStatus::gap:
        ereport(ERROR, (errcode(kProducerGap),
                        errmsg("producer \"%.*s\" cannot append sequence " INT64_FORMAT, producer->size, producer->name,
                               producer->seq),
                        errdetail("The next sequence of epoch %d is " INT64_FORMAT ".", producer->epoch,
                                  next_sequence(*producer, outcome.producer_epoch, outcome.producer_seq)),
                        errhint("Append the missing sequences first.")));
        break;
    }
    elog(ERROR, "unexpected outcome of an append: %d", static_cast<int>(outcome.status));
}

// Arguments 2 and up, the same for stream_append and stream_append_many: eof, expected, producer and its two numbers.
Datum append_with_options(FunctionCallInfo fcinfo, const char *function, const StreamName &name, const Datum *data,
                          int count) {
    AppendRequest request = {name, {data, count, false}, nullptr, nullptr};
    int64 expected;
    Producer producer;
    if (PG_ARGISNULL(2))
        refuse_null("eof");
    request.chunks.eof = PG_GETARG_BOOL(2);
    if (!PG_ARGISNULL(3)) {
        expected = expected_argument(fcinfo);
        request.expected = &expected;
    }
    if (producer_arguments(fcinfo, &producer))
        request.producer = &producer;
    if (count == 0)
        PG_RETURN_NULL();
    require_writable(function);
    const AppendOutcome outcome = append(request);
    if (outcome.status != AppendStatus::stored && outcome.status != AppendStatus::repeat)
        refuse_append(request, outcome);
    if (outcome.chunk_id == 0)
        PG_RETURN_NULL();
    PG_RETURN_INT64(outcome.chunk_id);
}

}  // namespace

}  // namespace rill

// stream_append(stream text, data bytea, eof boolean, expected bigint, producer text, producer_epoch int, producer_seq
// bigint) returns bigint
RILL_FUNCTION(pg_rill_append) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    if (PG_ARGISNULL(1))
        refuse_null("data");
    const Datum data = PG_GETARG_DATUM(1);
    check_chunk_size(data, "data");
    return append_with_options(fcinfo, "stream_append()", name, &data, 1);
}

// stream_append_many(stream text, data bytea[], ...the same) returns bigint
RILL_FUNCTION(pg_rill_append_many) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    Datum *data;
    int count;
    array_argument(fcinfo, 1, "data", BYTEAOID, &data, nullptr, &count);
    for (int i = 0; i < count; ++i)
        check_chunk_size(data[i], "data");
    return append_with_options(fcinfo, "stream_append_many()", name, data, count);
}

// stream_close(stream text) returns bigint
RILL_FUNCTION(pg_rill_close) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    require_writable("stream_close()");
    const Datum empty = PointerGetDatum(cstring_to_text_with_len("", 0));
    // Either the EOF that this call has stored, or the one that was already there.
    PG_RETURN_INT64(append({name, {&empty, 1, true}, nullptr, nullptr}).chunk_id);
}
