// How an error of librill or of the server reads over HTTP. Pure.
#pragma once

#include "http.hpp"
#include "rill/error.hpp"

#include <exception>

namespace rill::serve {

// 503 with Retry-After where the same request may succeed later: nothing is said of a stream that could not be reached.
[[nodiscard]] Response failure(const Error &error);

// The database could not be asked, or has not answered in time: that says nothing of the request.
[[nodiscard]] bool is_outage(const Error &error);

// Runs what makes a response; what it throws becomes one.
template <typename Make>
[[nodiscard]] Response guarded(const Make &make) {
    try {
        return make();
    } catch (const Error &error) {
        return failure(error);
    } catch (const std::exception &error) {
        return refusal(500, error.what());
    }
}

[[nodiscard]] inline Response no_stream() { return refusal(404, "There is no such stream."); }

}  // namespace rill::serve
