// The extension's own SQLSTATEs (class RL; see doc/reference.md).
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

inline constexpr int kStreamClosed = MAKE_SQLSTATE('R', 'L', '0', '0', '1');
inline constexpr int kCursorBehind = MAKE_SQLSTATE('R', 'L', '0', '0', '2');
inline constexpr int kCursorDiverged = MAKE_SQLSTATE('R', 'L', '0', '0', '3');
inline constexpr int kExpectedMismatch = MAKE_SQLSTATE('R', 'L', '0', '0', '4');
inline constexpr int kProducerFenced = MAKE_SQLSTATE('R', 'L', '0', '0', '5');
inline constexpr int kProducerGap = MAKE_SQLSTATE('R', 'L', '0', '0', '6');
inline constexpr int kNoSuchStream = MAKE_SQLSTATE('R', 'L', '0', '0', '7');

}  // namespace rill
