// The two crossings between C++ exceptions and the server's longjmp errors.
//   at_boundary(fn)  C++ exception -> ereport, raised after every C++ destructor has run.
//   pg(fn)           ereport -> PgError (a C++ exception), so that destructors run.
// Most of this extension keeps only trivially destructible locals and lets the
// server's own clean-up (resource owners, memory contexts, abort callbacks) do the
// work; pg() is for the few places that hold a C++ object across a server call.
#pragma once
#include "postgres_api.hpp"

namespace rill {

class PgError : public std::exception {
public:
    explicit PgError(ErrorData *data) noexcept : data_(data) {}
    [[nodiscard]] const char *what() const noexcept override { return data_->message ? data_->message : "server error"; }
    [[nodiscard]] ErrorData *data() const noexcept { return data_; }

private:
    ErrorData *data_;  // palloc'd; owned by the memory context it was copied into
};

struct PendingError {
    ErrorData *server = nullptr;
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
    } catch (const PgError &e) {
        pending.server = e.data();
    } catch (const std::bad_alloc &) {
        pending.sqlstate = ERRCODE_OUT_OF_MEMORY;
        strlcpy(pending.text, "out of memory", sizeof(pending.text));
    } catch (const std::exception &e) {
        strlcpy(pending.text, e.what(), sizeof(pending.text));
    } catch (...) {
    }
    pending.raise();
}

// Restores the server's error stack on every way out of a scope, C++ exceptions included.
class ErrorStackScope {
public:
    ErrorStackScope() noexcept : stack_(PG_exception_stack), context_(error_context_stack) {}
    ErrorStackScope(const ErrorStackScope &) = delete;
    ErrorStackScope &operator=(const ErrorStackScope &) = delete;
    ~ErrorStackScope() {
        PG_exception_stack = stack_;
        error_context_stack = context_;
    }

private:
    sigjmp_buf *stack_;
    ErrorContextCallback *context_;
};

template <typename Fn>
auto pg(Fn &&fn) -> decltype(fn()) {
    static_assert(std::is_void_v<decltype(fn())> || std::is_trivially_destructible_v<decltype(fn())>);
    MemoryContext const context = CurrentMemoryContext;
    {
        const ErrorStackScope scope;
        sigjmp_buf here;
        if (sigsetjmp(here, 0) == 0) {
            PG_exception_stack = &here;
            return fn();
        }
    }
    MemoryContextSwitchTo(context);
    ErrorData *error = CopyErrorData();
    FlushErrorState();
    throw PgError(error);
}

}  // namespace rill

// Defines the C symbol `name` that the install script refers to; the body may throw.
#define RILL_FUNCTION(name)                                                                                \
    extern "C" {                                                                                           \
    PGDLLEXPORT Datum name(PG_FUNCTION_ARGS);                                                              \
    PG_FUNCTION_INFO_V1(name);                                                                             \
    }                                                                                                      \
    static Datum name##_body(PG_FUNCTION_ARGS);                                                            \
    Datum name(PG_FUNCTION_ARGS) { return rill::at_boundary([&] { return name##_body(fcinfo); }); }        \
    static Datum name##_body([[maybe_unused]] PG_FUNCTION_ARGS)
