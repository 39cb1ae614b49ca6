// The plan node that runs stream_read_since() in a FROM clause without a tuplestore, in place of the server's function
// scan, which keeps every row of a function before it hands out the first. read_scan_plan.cpp puts it into plans,
// read_scan.cpp runs it.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

// Hooks into the planner; called once, when the library is loaded.
void install_read_scan();

namespace read_scan {

inline constexpr const char *kNodeName = "StreamReadSince";
inline constexpr int kArguments = 5;

// The result's columns.
enum Column : AttrNumber { kId = 1, kData, kEof, kAppendedAt, kEpoch, kColumns = kEpoch };

extern const CustomScanMethods scan_methods;

}  // namespace read_scan

}  // namespace rill
