// The crossing from C++ exceptions to the server's errors: at_boundary(fn) turns an exception that leaves fn into an
// ereport, raised after every C++ destructor has run. Every function that SQL calls goes through it (RILL_FUNCTION).
// There is no crossing the other way. A server error is a longjmp that skips destructors, so code that calls the server
// keeps only trivially destructible locals and leaves the cleaning up to resource owners, memory contexts and
// callbacks.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

struct PendingError {
    int sqlstate = ERRCODE_INTERNAL_ERROR;
    char text[512] = "unknown C++ exception";
    [[noreturn]] void raise() const;
};
static_assert(std::is_trivially_destructible_v<PendingError>);

template <typename Fn>
auto at_boundary(Fn fn) -> decltype(fn()) {
    static_assert(std::is_trivially_destructible_v<Fn>, "capture by reference only: raise() longjmps over this frame");
    PendingError pending;
    try {
        return fn();
    } catch (const std::bad_alloc &) {
        pending.sqlstate = ERRCODE_OUT_OF_MEMORY;
        strlcpy(pending.text, "out of memory", sizeof(pending.text));
    } catch (const std::exception &e) {
        strlcpy(pending.text, e.what(), sizeof(pending.text));
    } catch (...) {
    }
    pending.raise();
}

}  // namespace rill

// Defines the C symbol `name` that the install script refers to; the body may throw.
#define RILL_FUNCTION(name)                                                                                            \
    extern "C" {                                                                                                       \
    PGDLLEXPORT Datum name(PG_FUNCTION_ARGS);                                                                          \
    PG_FUNCTION_INFO_V1(name);                                                                                         \
    }                                                                                                                  \
    static Datum name##_body(PG_FUNCTION_ARGS);                                                                        \
    Datum name(PG_FUNCTION_ARGS) {                                                                                     \
        return rill::at_boundary([&] { return name##_body(fcinfo); });                                                 \
    }                                                                                                                  \
    static Datum name##_body([[maybe_unused]] PG_FUNCTION_ARGS)
