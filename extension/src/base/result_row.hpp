// The row that a function with several OUT parameters returns.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

inline Datum result_row(FunctionCallInfo fcinfo, const Datum *values, const bool *nulls) {
    TupleDesc desc;
    if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    return HeapTupleGetDatum(
        heap_form_tuple(BlessTupleDesc(desc), const_cast<Datum *>(values), const_cast<bool *>(nulls)));
}

}  // namespace rill
