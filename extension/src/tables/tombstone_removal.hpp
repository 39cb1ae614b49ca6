// Rows of table stream are deleted by retention alone, when their streams' tombstones are old: the trigger stream_guard
// refuses everybody else, who would leave chunks behind.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

// From construction to end() the current (sub)transaction may delete such rows. An error ends that, too.
class TombstoneRemoval {
public:
    TombstoneRemoval();
    void end() const;
};
static_assert(std::is_trivially_destructible_v<TombstoneRemoval>);

bool removing_tombstones();

}  // namespace rill
