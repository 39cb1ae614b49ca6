// A library for boundary.sh: SQL functions that throw, defined with RILL_FUNCTION as all of pg_rill's are.
// test/lib/unit.mk builds it.
#include "base/boundary.hpp"

#include <stdexcept>
#include <string>

extern "C" {
PG_MODULE_MAGIC;
}

namespace {

int alive = 0;

// Counts the objects whose destructor has not run.
struct Counted {
    Counted() { ++alive; }
    Counted(const Counted &) = delete;
    Counted &operator=(const Counted &) = delete;
    ~Counted() { --alive; }
};

[[noreturn]] void fail(int how, const std::string &message) {
    const Counted inner;
    switch (how) {
    case 1:
        throw std::bad_alloc();
    case 2:
        throw how;
    default:
        throw std::runtime_error(message);
    }
}

}  // namespace

RILL_FUNCTION(boundary_throw) {
    const text *const message = PG_GETARG_TEXT_PP(1);
    const Counted outer;
    fail(PG_GETARG_INT32(0), std::string(VARDATA_ANY(message), VARSIZE_ANY_EXHDR(message)));
}

RILL_FUNCTION(boundary_alive) { return Int32GetDatum(alive); }
