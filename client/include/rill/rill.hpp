// librill: everything a program needs to append to and follow streams kept by the PostgreSQL extension pg_rill.
// One include; the parts may also be included one by one. libpq is not seen from here.
#pragma once

#include "rill/chunk.hpp"
#include "rill/client.hpp"
#include "rill/error.hpp"
#include "rill/options.hpp"
#include "rill/reader.hpp"
#include "rill/start.hpp"
#include "rill/stats.hpp"
#include "rill/stream_info.hpp"
