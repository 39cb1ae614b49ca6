// The notifier process of a database; see notifier.cpp.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

inline constexpr const char *kNotifierType = "pg_rill notifier";

}  // namespace rill

// The argument is the index of the database's slot.
extern "C" PGDLLEXPORT void pg_rill_notifier_main(Datum slot);
