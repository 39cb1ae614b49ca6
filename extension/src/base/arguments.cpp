// See arguments.hpp.
#include "base/arguments.hpp"

#include "base/pg_compat.hpp"
#include "base/settings.hpp"

namespace rill {

void require_writable(const char *function) {
    PreventCommandIfReadOnly(function);
    PreventCommandIfParallelMode(function);
    PreventCommandDuringRecovery(function);
}

void refuse_null(const char *argument) {
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("argument \"%s\" must not be null", argument),
                    errhint("Give a value for \"%s\".", argument)));
    pg_unreachable();
}

StreamName stream_name(text *value, const char *argument) {
    const int size = static_cast<int>(VARSIZE_ANY_EXHDR(value));
    if (size == 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("argument \"%s\" must not be empty", argument),
                        errhint("A name is 1 to %d bytes long.", kMaxNameBytes)));
    if (size > kMaxNameBytes)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("argument \"%s\" is too long: %d bytes", argument, size),
                        errhint("A name is 1 to %d bytes long.", kMaxNameBytes)));
    const char *data = VARDATA_ANY(value);
    return {data, size, hash_bytes_extended(reinterpret_cast<const unsigned char *>(data), size, MyDatabaseId)};
}

StreamName stream_argument(FunctionCallInfo fcinfo, int n) {
    if (PG_ARGISNULL(n))
        refuse_null("stream");
    return stream_name(PG_GETARG_TEXT_PP(n), "stream");
}

int64 cursor_argument(FunctionCallInfo fcinfo, int n, const char *argument) {
    if (PG_ARGISNULL(n))
        refuse_null(argument);
    const int64 cursor = PG_GETARG_INT64(n);
    if (cursor < 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("argument \"%s\" must not be negative: " INT64_FORMAT, argument, cursor),
                        errhint("A cursor is the id of the last chunk read, or 0 to begin with the first.")));
    return cursor;
}

int64 cap_argument(FunctionCallInfo fcinfo, int n, const char *argument, bool is_int4) {
    if (PG_ARGISNULL(n))
        return PG_INT64_MAX;
    const int64 cap = is_int4 ? PG_GETARG_INT32(n) : PG_GETARG_INT64(n);
    if (cap < 1)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("argument \"%s\" must be at least 1: " INT64_FORMAT, argument, cap),
                        errhint("Null means no limit.")));
    return cap;
}

int64 timeout_argument(FunctionCallInfo fcinfo, int n) {
    if (PG_ARGISNULL(n))
        return -1;
    const Interval *value = PG_GETARG_INTERVAL_P(n);
    bool negative = false;
    if (interval_is_infinite(value, &negative) && !negative)
        return -1;
    // Days and months as interval comparison counts them; far beyond a century it is forever.
    const long double microseconds = static_cast<long double>(value->time) +
                                     (static_cast<long double>(value->day) + value->month * 30.0L) * USECS_PER_DAY;
    if (negative || microseconds < 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("argument \"timeout\" must not be negative"),
                        errhint("0 does not wait; null waits forever.")));
    return microseconds > static_cast<long double>(PG_INT64_MAX / 4) ? -1 : static_cast<int64>(microseconds);
}

void check_chunk_size(Datum data, const char *argument) {
    const Size size = toast_raw_datum_size(data) - VARHDRSZ;
    if (size > static_cast<Size>(max_chunk_bytes))
        ereport(ERROR,
                (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                 errmsg("argument \"%s\" is too large for a chunk: %zu bytes", argument, size),
                 errdetail("The maximum size of a chunk is %d bytes (\"pg_rill.max_chunk_bytes\").", max_chunk_bytes),
                 errhint("Split the data into several chunks, or increase \"pg_rill.max_chunk_bytes\".")));
}

void array_argument(FunctionCallInfo fcinfo, int n, const char *argument, Oid element, Datum **values, bool **nulls,
                    int *count) {
    if (PG_ARGISNULL(n))
        refuse_null(argument);
    ArrayType *array = PG_GETARG_ARRAYTYPE_P(n);
    if (ARR_NDIM(array) > 1)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("argument \"%s\" must be a one-dimensional array", argument),
                        errhint("Flatten the array first.")));
    bool *isnull = nullptr;
    int16 length;
    bool by_value;
    char align;
    get_typlenbyvalalign(element, &length, &by_value, &align);
    deconstruct_array(array, element, length, by_value, align, values, &isnull, count);
    if (nulls != nullptr)
        *nulls = isnull;
    else
        for (int i = 0; i < *count; ++i)
            if (isnull[i])
                ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                                errmsg("argument \"%s\" must not contain nulls: element %d is null", argument, i + 1),
                                errhint("Remove the null elements.")));
}

}  // namespace rill
