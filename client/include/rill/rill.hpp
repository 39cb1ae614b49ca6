// librill: append to streams kept by the PostgreSQL extension pg_rill, and follow them.
// This includes every part; each can also be included by itself. None includes libpq.
#pragma once

#include "rill/append.hpp"
#include "rill/chunk.hpp"
#include "rill/client.hpp"
#include "rill/error.hpp"
#include "rill/options.hpp"
#include "rill/producer.hpp"
#include "rill/reader.hpp"
#include "rill/start.hpp"
#include "rill/stats.hpp"
#include "rill/stream_status.hpp"
