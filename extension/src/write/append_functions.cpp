// stream_append, stream_append_many, stream_append_text, stream_try_append, stream_close: their arguments, and rows or
// errors for the outcomes.
#include "base/boundary.hpp"
#include "base/result_row.hpp"
#include "base/errors.hpp"
#include "core/append_order.hpp"
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
    *producer = {name.data, name.size, PG_GETARG_INT64(kFirst + 1), PG_GETARG_INT64(kFirst + 2)};
    if (producer->epoch < 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("argument \"producer_epoch\" must not be negative: " INT64_FORMAT, producer->epoch),
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
    case AppendStatus::missing:
    case AppendStatus::stale:
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
                        errmsg("epoch " INT64_FORMAT " of producer \"%.*s\" has been fenced off", producer->epoch,
                               producer->size, producer->name),
                        errdetail("The highest epoch seen is " INT64_FORMAT ".", outcome.producer_epoch),
                        errhint("Another instance has taken over. Stop this one or start a higher epoch.")));
        break;
    case AppendStatus::gap:
        ereport(ERROR, (errcode(kProducerGap),
                        errmsg("producer \"%.*s\" cannot append sequence " INT64_FORMAT, producer->size, producer->name,
                               producer->seq),
                        errdetail("The next sequence of epoch " INT64_FORMAT " is " INT64_FORMAT ".", producer->epoch,
                                  core::next_sequence(producer->epoch, {outcome.producer_epoch, outcome.producer_seq})),
                        errhint("Append the missing sequences first.")));
        break;
    }
    elog(ERROR, "unexpected outcome of an append: %d", static_cast<int>(outcome.status));
}

bool bool_argument(FunctionCallInfo fcinfo, int n, const char *argument) {
    if (PG_ARGISNULL(n))
        refuse_null(argument);
    return PG_GETARG_BOOL(n);
}

// Where the options of a request are.
struct Options {
    int64 expected;
    Producer producer;
    WriterSeq writer_seq;
};

// Arguments 2 to 6, the same for all functions that have them: eof, expected, producer and its two numbers.
AppendRequest request_with_options(FunctionCallInfo fcinfo, const StreamName &name, const Datum *data, int count,
                                   Options *options) {
    AppendRequest request = {name, {data, count, bool_argument(fcinfo, 2, "eof")}, nullptr, nullptr, nullptr, true};
    if (!PG_ARGISNULL(3)) {
        options->expected = expected_argument(fcinfo);
        request.expected = &options->expected;
    }
    if (producer_arguments(fcinfo, &options->producer))
        request.producer = &options->producer;
    return request;
}

Datum append_or_raise(FunctionCallInfo fcinfo, const char *function, const AppendRequest &request) {
    require_writable(function);
    const AppendOutcome outcome = append(request);
    if (outcome.status != AppendStatus::stored && outcome.status != AppendStatus::repeat)
        refuse_append(request, outcome);
    if (outcome.chunk_id == 0)
        PG_RETURN_NULL();
    PG_RETURN_INT64(outcome.chunk_id);
}

void chunks_argument(FunctionCallInfo fcinfo, int n, Datum **data, int *count) {
    array_argument(fcinfo, n, "data", BYTEAOID, data, nullptr, count);
    for (int i = 0; i < *count; ++i)
        check_chunk_size((*data)[i], "data");
}

Datum empty_chunk() { return PointerGetDatum(cstring_to_text_with_len("", 0)); }

WriterSeq writer_seq_argument(FunctionCallInfo fcinfo, int n) {
    constexpr int kMaxBytes = 512;
    const text *value = PG_GETARG_TEXT_PP(n);
    const int size = static_cast<int>(VARSIZE_ANY_EXHDR(value));
    if (size < 1 || size > kMaxBytes)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("argument \"writer_seq\" must be 1 to %d bytes long: %d", kMaxBytes, size),
                        errhint("Null means that the append does not depend on it.")));
    return {VARDATA_ANY(value), size};
}

const char *name_of(AppendStatus status) {
    switch (status) {
    case AppendStatus::stored:
        return "stored";
    case AppendStatus::missing:
        return "missing";
    case AppendStatus::fenced:
        return "fenced";
    case AppendStatus::repeat:
        return "repeat";
    case AppendStatus::closed:
        return "closed";
    case AppendStatus::gap:
        return "gap";
    case AppendStatus::stale:
        return "stale";
    case AppendStatus::mismatch:
        return "mismatch";
    }
    pg_unreachable();
}

Datum outcome_row(FunctionCallInfo fcinfo, const AppendOutcome &outcome) {
    Datum values[5] = {CStringGetTextDatum(name_of(outcome.status)), Int64GetDatum(outcome.chunk_id),
                       Int64GetDatum(outcome.producer_epoch), Int64GetDatum(outcome.producer_seq),
                       BoolGetDatum(outcome.closed)};
    // An epoch that has begun and appended nothing fences off, too.
    const bool unknown = outcome.producer_seq == 0 && outcome.status != AppendStatus::fenced;
    // A mismatch with a stream that never held a chunk is one with id 0.
    bool nulls[5] = {false, outcome.chunk_id == 0 && outcome.status != AppendStatus::mismatch, unknown, unknown, false};
    return result_row(fcinfo, values, nulls);
}

}  // namespace

}  // namespace rill

// stream_append(stream text, data bytea, eof boolean, expected bigint, producer text, producer_epoch bigint,
// producer_seq bigint) returns bigint
RILL_FUNCTION(pg_rill_append) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    if (PG_ARGISNULL(1))
        refuse_null("data");
    const Datum data = PG_GETARG_DATUM(1);
    check_chunk_size(data, "data");
    Options options;
    return append_or_raise(fcinfo, "stream_append()", request_with_options(fcinfo, name, &data, 1, &options));
}

// stream_append_many(stream text, data bytea[], ...the same) returns bigint
RILL_FUNCTION(pg_rill_append_many) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    Datum *data;
    int count;
    chunks_argument(fcinfo, 1, &data, &count);
    Options options;
    const AppendRequest request = request_with_options(fcinfo, name, data, count, &options);
    if (count == 0)
        PG_RETURN_NULL();
    return append_or_raise(fcinfo, "stream_append_many()", request);
}

// stream_append_text(stream text, data text, eof boolean) returns bigint
RILL_FUNCTION(pg_rill_append_text) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    if (PG_ARGISNULL(1))
        refuse_null("data");
    Datum data = PG_GETARG_DATUM(1);
    if (GetDatabaseEncoding() != PG_UTF8) {
        const text *given = PG_GETARG_TEXT_PP(1);
        const int size = static_cast<int>(VARSIZE_ANY_EXHDR(given));
        // Text of an SQL_ASCII database has no known encoding: it is only checked, and refused if it is not UTF-8.
        const char *utf8 = pg_server_to_any(VARDATA_ANY(given), size, PG_UTF8);
        if (utf8 != VARDATA_ANY(given))
            data = PointerGetDatum(cstring_to_text(utf8));
    }
    check_chunk_size(data, "data");
    const bool eof = bool_argument(fcinfo, 2, "eof");
    return append_or_raise(fcinfo, "stream_append_text()", {name, {&data, 1, eof}, nullptr, nullptr, nullptr, true});
}

// stream_try_append(stream text, data bytea[], ...the same, writer_seq text, create_stream boolean) returns (outcome
// text, chunk_id bigint, producer_epoch bigint, producer_seq bigint, closed boolean)
RILL_FUNCTION(pg_rill_try_append) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    Datum *data;
    int count;
    chunks_argument(fcinfo, 1, &data, &count);
    Options options;
    AppendRequest request = request_with_options(fcinfo, name, data, count, &options);
    if (!PG_ARGISNULL(7)) {
        options.writer_seq = writer_seq_argument(fcinfo, 7);
        request.writer_seq = &options.writer_seq;
    }
    request.create_stream = bool_argument(fcinfo, 8, "create_stream");
    // An EOF without data.
    const Datum empty = empty_chunk();
    if (count == 0 && request.chunks.eof) {
        request.chunks.data = &empty;
        request.chunks.count = 1;
    }
    require_writable("stream_try_append()");
    return outcome_row(fcinfo, append(request));
}

// stream_close(stream text) returns bigint
RILL_FUNCTION(pg_rill_close) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    require_writable("stream_close()");
    const Datum empty = empty_chunk();
    // Either the EOF that this call has stored, or the one that was already there.
    PG_RETURN_INT64(append({name, {&empty, 1, true}, nullptr, nullptr, nullptr, true}).chunk_id);
}
