// Server-Sent Events: how data and control events of the protocol are written. Pure.
#pragma once

#include <string>
#include <string_view>

namespace rill::serve {

// "event: NAME", a "data:" line for each line of the payload, and an empty line. CR, LF and CR LF each end a line:
// a payload can neither begin an event of its own nor end this one.
[[nodiscard]] std::string event(std::string_view name, std::string_view payload);

[[nodiscard]] std::string base64(std::string_view bytes);

// A control event. `cursor` is left out when empty.
struct Control {
    std::string next_offset;
    std::string cursor{};
    bool up_to_date = false;
    bool closed = false;
};
[[nodiscard]] std::string control_event(const Control &control);

}  // namespace rill::serve
