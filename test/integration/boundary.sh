#!/bin/bash
# A C++ exception that leaves an SQL function becomes an ordinary server error: it has an SQLSTATE and the exception's
# text, every destructor has run, and the session continues. As TAP.
# Runs in a fresh database, as a superuser (PGHOST, PGDATABASE, …); BOUNDARY_LIBRARY is boundary_test.cpp, built.
set -uo pipefail
number=0 status=0
is() {
    number=$((number + 1))
    if [[ $2 == "$3" ]]; then
        echo "ok $number - $1"
    else
        echo "not ok $number - $1"
        echo "# '$2' instead of '$3'"
        status=1
    fi
}

psql -XAtq -v ON_ERROR_STOP=1 >/dev/null <<SQL || exit 1
CREATE FUNCTION boundary_throw(how int, message text) RETURNS int LANGUAGE c AS '$BOUNDARY_LIBRARY';
CREATE FUNCTION boundary_alive() RETURNS int LANGUAGE c AS '$BOUNDARY_LIBRARY';
CREATE FUNCTION caught(how int, message text DEFAULT '') RETURNS text LANGUAGE plpgsql AS \$\$
BEGIN
  PERFORM boundary_throw(how, message);
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ' ' || SQLERRM;
END \$\$;
SQL
query() { psql -XAtq -v ON_ERROR_STOP=1 -c "$1" 2>&1; }

is "std::bad_alloc is out of memory" "$(query "SELECT caught(1)")" "53200 out of memory"
is "an exception of another type is an internal error" "$(query "SELECT caught(2)")" "XX000 unknown C++ exception"
is "a std::exception is an internal error with its text" "$(query "SELECT caught(3, '100 %s of 5')")" "XX000 100 %s of 5"
is "a long text is cut" "$(query "SELECT caught(3, repeat('x', 100000)) = 'XX000 ' || repeat('x', 511)")" "t"
is "every destructor has run" "$(query "SELECT count(caught(n % 3 + 1, 'again')), boundary_alive() FROM generate_series(1, 1000) n")" "1000|0"
# An exception that nothing catches aborts only the transaction: the same session then answers.
is "the session continues" "$(psql -XAtq -c "BEGIN" -c "SELECT boundary_throw(3, 'not caught')" -c "ROLLBACK" -c "SELECT boundary_alive()" 2>&1)" \
    "ERROR:  not caught
0"
echo "1..$number"
exit "$status"
