// See requests.hpp.
#include "read/requests.hpp"

#include <algorithm>

namespace rill {

namespace {

void refuse_repeats(const Requests &requests) {
    auto *order = static_cast<int *>(
        MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int) * static_cast<Size>(requests.count)));
    for (int i = 0; i < requests.count; ++i)
        order[i] = i;
    const Request *list = requests.list;
    std::sort(order, order + requests.count, [list](int a, int b) { return list[a].name.key < list[b].name.key; });
    for (int i = 1; i < requests.count; ++i) {
        const StreamName &a = list[order[i - 1]].name;
        const StreamName &b = list[order[i]].name;
        if (a.key == b.key && a.size == b.size && memcmp(a.data, b.data, static_cast<Size>(a.size)) == 0)
            ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                            errmsg("argument \"streams\" contains \"%.*s\" twice", a.size, a.data),
                            errhint("List each stream only once.")));
    }
    pfree(order);
}

}  // namespace

Requests request_arguments(FunctionCallInfo fcinfo, int streams, int cursors) {
    Datum *names;
    Datum *ids;
    Requests requests = {nullptr, 0};
    int id_count;
    array_argument(fcinfo, streams, "streams", TEXTOID, &names, nullptr, &requests.count);
    array_argument(fcinfo, cursors, "chunk_ids", INT8OID, &ids, nullptr, &id_count);
    if (id_count != requests.count)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("argument \"chunk_ids\" must have as many elements as \"streams\": %d, not %d",
                               requests.count, id_count),
                        errhint("Give one cursor for each stream.")));
    requests.list = static_cast<Request *>(
        MemoryContextAllocExtended(CurrentMemoryContext, sizeof(Request) * static_cast<Size>(Max(requests.count, 1)),
                                   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
    for (int i = 0; i < requests.count; ++i) {
        requests.list[i].name = stream_name(DatumGetTextPP(names[i]), "streams");
        requests.list[i].cursor = DatumGetInt64(ids[i]);
        if (requests.list[i].cursor < 0)
            ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                            errmsg("argument \"chunk_ids\" must not contain negative ids: element %d is " INT64_FORMAT,
                                   i + 1, requests.list[i].cursor),
                            errhint("A cursor is the id of the last chunk read, or 0 to begin with the first.")));
    }
    refuse_repeats(requests);
    return requests;
}

void epoch_argument(FunctionCallInfo fcinfo, int n, const Requests &requests) {
    Datum *epochs;
    bool *unknown;
    int count;
    array_argument(fcinfo, n, "epochs", INT4OID, &epochs, &unknown, &count);
    if (count != requests.count)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("argument \"epochs\" must have as many elements as \"streams\": %d, not %d",
                               requests.count, count),
                        errhint("Give one epoch, or null, for each stream.")));
    for (int i = 0; i < count; ++i) {
        requests.list[i].open = true;
        requests.list[i].verify = !unknown[i];
        requests.list[i].epoch = unknown[i] ? 0 : DatumGetInt32(epochs[i]);
    }
}

const uint64 *wait_keys(const Requests &requests) {
    if (requests.count == 1)
        return &requests.list[0].name.key;
    auto *keys = static_cast<uint64 *>(
        MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint64) * static_cast<Size>(Max(requests.count, 1))));
    for (int i = 0; i < requests.count; ++i)
        keys[i] = requests.list[i].name.key;
    return keys;
}

}  // namespace rill
