// stream_status: one stream as a whole, under one snapshot, at a cost that does not grow with it.
#include "base/boundary.hpp"
#include "base/result_row.hpp"
#include "read/head.hpp"
#include "shmem/wait_list.hpp"
#include "tables/privileges.hpp"

namespace rill {

namespace {

enum StatusColumn {
    kStatusStreamId,
    kStatusCreatedAt,
    kStatusFirstId,
    kStatusHeadId,
    kStatusLastDataId,
    kStatusClosed,
    kStatusFirstAt,
    kStatusLastAt,
    kStatusTrimmedThrough,
    kStatusMetadata,
    kStatusWaiters,
    kStatusLimits,
    kStatusColumns = kStatusLimits + kLimits
};

struct StatusRow {
    Datum values[kStatusColumns];
    bool nulls[kStatusColumns];

    void set(int column, Datum value) {
        values[column] = value;
        nulls[column] = false;
    }
};

void set_chunk_columns(StatusRow *row, ReadSnapshot &snapshot, const VisibleStream &stream, const StreamHint &hint) {
    ChunkScan &scan = snapshot.scan();
    scan.start(stream.row.id, stream.row.trimmed_through);
    if (!scan.next())
        return;
    row->set(kStatusFirstId, Int64GetDatum(scan.id()));
    row->set(kStatusFirstAt, TimestampTzGetDatum(scan.appended_at()));
    const StreamEnd end = describe_end(snapshot, stream, find_head(snapshot, stream, hint));
    if (end.head == 0)
        return;
    row->set(kStatusHeadId, Int64GetDatum(end.head));
    row->set(kStatusClosed, BoolGetDatum(end.closed));
    row->set(kStatusLastAt, TimestampTzGetDatum(end.at));
    row->set(kStatusLastDataId, Int64GetDatum(end.last_data));
}

}  // namespace

}  // namespace rill

// stream_status(stream text) returns record
RILL_FUNCTION(pg_rill_status) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    StatusRow row = {};
    memset(row.nulls, true, sizeof(row.nulls));
    row.set(kStatusHeadId, Int64GetDatum(0));
    row.set(kStatusClosed, BoolGetDatum(false));
    with_stream(name, [&](ReadSnapshot &snapshot, const VisibleStream &stream, const StreamHint &hint) {
        const StreamDetails details = read_details(stream.row.id, snapshot.snapshot());
        row.set(kStatusStreamId, Int64GetDatum(stream.row.id));
        row.set(kStatusCreatedAt, TimestampTzGetDatum(details.created_at));
        row.set(kStatusLastDataId, Int64GetDatum(0));
        row.set(kStatusTrimmedThrough, Int64GetDatum(stream.row.trimmed_through));
        if (!details.no_metadata)
            row.set(kStatusMetadata, details.metadata);
        if (shared != nullptr)
            row.set(kStatusWaiters, Int32GetDatum(count_waiters(name.key)));
        for (int i = 0; i < kLimits; ++i)
            if (!details.no_limit[i])
                row.set(kStatusLimits + i, details.limits[i]);
        set_chunk_columns(&row, snapshot, stream, hint);
    });
    return result_row(fcinfo, row.values, row.nulls);
}
