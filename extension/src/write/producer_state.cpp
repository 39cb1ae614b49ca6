// stream_producer_state: what a producer that starts again has to know. It reads committed rows, without the append
// lock, and waits for nobody: an append of the producer that is undecided may still change the answer.
#include "base/boundary.hpp"
#include "base/pg_compat.hpp"
#include "write/open_stream.hpp"
#include "write/producer.hpp"

// stream_producer_state(stream text, producer text) returns TABLE(producer_epoch bigint, producer_seq bigint, chunk_id
// bigint)
RILL_FUNCTION(pg_rill_producer_state) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    if (PG_ARGISNULL(1))
        refuse_null("producer");
    const StreamName producer = stream_name(PG_GETARG_TEXT_PP(1), "producer");
    const ReturnSetInfo *result = begin_srf(fcinfo);
    StreamRow row;
    if (!find_for_append(name, &row))
        PG_RETURN_NULL();
    const Snapshot snapshot = register_current_snapshot();
    LastAppend last;
    if (last_append(row.id, producer, snapshot, &last)) {
        Datum values[3] = {Int64GetDatum(last.epoch), Int64GetDatum(last.seq), Int64GetDatum(last.chunk_id)};
        bool nulls[3] = {};
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    UnregisterSnapshot(snapshot);
    PG_RETURN_NULL();
}
