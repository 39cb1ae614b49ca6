// See fetch_row.hpp.
#include "read/fetch_row.hpp"

namespace rill {

void PageBuffer::allocate() {
    const MemoryContext old = MemoryContextSwitchTo(context_);
    initStringInfo(&sink_.buffer);
    enlargeStringInfo(&sink_.buffer, kPageBytes + 4096);
    MemoryContextSwitchTo(old);
}

FetchRow empty_fetch_row() {
    FetchRow row = {};
    for (bool &null : row.nulls)
        null = true;
    return row;
}

FetchRow fetch_row(int n, const Request &request, Datum page, bool more) {
    FetchRow row = empty_fetch_row();
    const auto set = [&row](FetchColumn column, Datum value) {
        row.values[column] = value;
        row.nulls[column] = false;
    };
    set(kFetchN, Int32GetDatum(n + 1));
    if (request.stream.exists)
        set(kFetchStreamId, Int64GetDatum(request.stream.row.id));
    if (DatumGetPointer(page) != nullptr)
        set(kFetchPage, page);
    set(kFetchMore, BoolGetDatum(more));
    if (request.state != CursorState::good) {
        set(kFetchSqlstate, CStringGetTextDatum(cursor_sqlstate(request.state)));
        set(kFetchMessage, CStringGetTextDatum(cursor_message(request.state, request.name, request.cursor)));
    }
    return row;
}

}  // namespace rill
