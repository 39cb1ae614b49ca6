// The tests of librill and of the rill command. Cases in the suite "server" run when RILL_TEST_CONNINFO names a
// database with the extension, for a superuser; the others need nothing. RILL_TEST_SEED repeats a random run.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
