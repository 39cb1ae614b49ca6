#!/usr/bin/env python3
"""Every SQL call of the extension, taken from pg_proc, with arguments whose type the client leaves to the server: unknown
literals through the simple protocol, and parameters sent without a type through the extended one. And with the types that
drivers send instead: a smaller integer, varchar. No name has two overloads.

Runs in a database with the extension; see test/lib/harness.py. psycopg2 knows only the simple protocol, so the extended
one goes through libpq itself, on the same connection."""
import ctypes
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from harness import Session, check, database, main, same  # noqa: E402

# What to call with, by the name of the argument. A new argument needs a line here.
VALUES = {
    "stream": "calls/s", "streams": "{calls/s}", "chunk_id": "0", "chunk_ids": "{0}", "epoch": "0", "epochs": "{NULL}", "eof": "true",
    "expected": "3", "producer": "p", "producer_epoch": "1", "producer_seq": "1", "writer_seq": "w", "create_stream": "false",
    "max_age": "1 day", "max_chunks": "10", "max_bytes": "1000", "delete_after_close": "1 day", "max_idle": "1 day",
    "expires_at": "2100-01-01", "metadata": "{}", "timeout": "0", "skip": "1", "since": "2000-01-01", "before": "2", "after": "0",
    "stream_ids": "{1,2}", "pid": "1",
}
BY_TYPE = {"data bytea": r"\x41", "data bytea[]": r'{"\\x41",b}', "data text": r"C:\temp"}
INTEGERS = {"smallint": 21, "integer": 23, "bigint": 20}    # by size
OTHERS = {"text": 1043, "bigint[]": 1007}   # varchar, int4[]

ROUTINES = """
  SELECT p.proname, p.prokind, p.pronargs - p.pronargdefaults, p.proretset OR p.prorettype = 'record'::regtype AND p.prokind = 'f',
         ARRAY(SELECT ROW(coalesce(p.proargnames[n], ''), coalesce(p.proargmodes[n], 'i'), format_type(t, NULL))::text
                 FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) WITH ORDINALITY a(t, n)
                WHERE coalesce(p.proargmodes[n], 'i') IN ('i', 'b') ORDER BY n)
    FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
    JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'pg_rill'
   WHERE p.prorettype <> 'trigger'::regtype ORDER BY p.proname"""

libpq = ctypes.CDLL("libpq.so.5")
libpq.PQexecParams.restype = ctypes.c_void_p
libpq.PQexecParams.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(ctypes.c_uint), ctypes.POINTER(ctypes.c_char_p),
                               ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
libpq.PQresultStatus.argtypes = libpq.PQclear.argtypes = [ctypes.c_void_p]
libpq.PQresultErrorMessage.argtypes = [ctypes.c_void_p]
libpq.PQresultErrorMessage.restype = ctypes.c_char_p
DONE = (1, 2)   # PGRES_COMMAND_OK, PGRES_TUPLES_OK


def extended(session, sql, values, types=None):
    """Through the extended protocol; a type of 0 is none. Returns None, or the error's message."""
    count = len(values)
    result = libpq.PQexecParams(
        session.connection.pgconn_ptr, sql.encode(), count, (ctypes.c_uint * count)(*types) if types else None,
        (ctypes.c_char_p * count)(*[None if value is None else value.encode() for value in values]), None, None, 0)
    error = None if libpq.PQresultStatus(result) in DONE else libpq.PQresultErrorMessage(result).decode()
    libpq.PQclear(result)
    return error


def simple(session, sql):
    error = session.error(sql)
    return None if error is None else f"{error.pgcode} {error}"


class Call:
    """A routine with its required arguments, or with all."""

    def __init__(self, name, kind, rows, arguments):
        self.kind = kind
        self.name = name
        self.values = []
        self.types = []
        self.names = []
        for argument, mode, type_name in arguments:
            value = None if mode == "b" else BY_TYPE.get(f"{argument} {type_name}") or VALUES[argument]
            self.names.append(argument)
            self.values.append(value)
            self.types.append(type_name)
        self.rows = rows

    def sql(self, words):
        call = f"{self.name}({', '.join(words)})"
        if self.kind == "p":
            return f"CALL {call}"
        return f"SELECT * FROM {call}" if self.rows else f"SELECT {call}"

    def literals(self, bare=False):
        """Quoted, so unknown; with `bare`, integers are written as such."""
        return ["NULL" if value is None else value if bare and type_name in INTEGERS else "'" + value.replace("'", "''") + "'"
                for value, type_name in zip(self.values, self.types)]

    def named(self, words):
        return [f"{name} => {word}" for name, word in reversed(list(zip(self.names, words)))]

    def parameters(self):
        return [f"${n}" for n in range(1, len(self.values) + 1)]

    def other_types(self, integer):
        """What a driver may send instead: this type of integer where ours is not smaller; 0 leaves it to the server."""
        order = list(INTEGERS)
        return [INTEGERS[integer] if type_name in order and order.index(integer) <= order.index(type_name) else OTHERS.get(type_name, 0)
                for type_name in self.types]


def parsed(argument):
    name, mode, type_name = argument.strip("()").split(",")
    return name, mode, type_name.strip('"')


def try_call(session, what, call, attempt):
    """Nothing that a call changes stays."""
    if call.kind != "p":
        session.run("BEGIN")
    error = attempt()
    session.attempt("ROLLBACK")
    check(f"{call.name}, {len(call.values)} arguments: {what}", error is None, error)


def every_call():
    """Each routine with its required arguments and with all, in every way to send them."""
    session = Session(database=database())
    session.run("SELECT stream_append_many('calls/s', '{a,b,c}')")
    routines = session.rows(ROUTINES)
    check("the extension has routines", len(routines) > 25, routines)
    for name, kind, required, rows, arguments in routines:
        arguments = [parsed(argument) for argument in arguments]
        missing = [argument for argument, mode, _ in arguments if mode == "i" and argument not in VALUES and argument != "data"]
        if not check(f"{name}: this test knows what to call it with", not missing, missing):
            continue
        for count in sorted({required, len(arguments)}):
            call = Call(name, kind, rows, arguments[:count])
            parameters = call.parameters()
            try_call(session, "unknown literals", call, lambda: simple(session, call.sql(call.literals())))
            if not parameters:
                continue
            try_call(session, "bare integers", call, lambda: simple(session, call.sql(call.literals(bare=True))))
            try_call(session, "unknown literals by name", call, lambda: simple(session, call.sql(call.named(call.literals()))))
            try_call(session, "parameters without a type", call, lambda: extended(session, call.sql(parameters), call.values))
            try_call(session, "parameters without a type, by name", call,
                     lambda: extended(session, call.sql(call.named(parameters)), call.values))
            for type_name in INTEGERS:
                types = call.other_types(type_name)
                try_call(session, f"integers as {type_name}, text as varchar", call,
                         lambda: extended(session, call.sql(parameters), call.values, types))


def overloads():
    """No name stands for two functions."""
    with Session(database=database()) as session:
        names = [row[0] for row in session.rows(ROUTINES)]
    same("no name has two overloads", sorted(names), sorted(set(names)))


def what_is_stored():
    """The bytes and numbers arrive as they were sent."""
    session = Session(database=database())
    same("bytea without a type", extended(session, "SELECT stream_append($1, $2)", ["s", r"\x00ff"]), None)
    same("bytea[] without a type", extended(session, "SELECT outcome FROM stream_try_append($1, $2)", ["s", r'{"\\x00ff",plain}']), None)
    same("text without a type", extended(session, "SELECT stream_append_text($1, $2)", ["s", r"\x00ff"]), None)
    same("an epoch as int4", extended(session, "SELECT stream_append($1, $2, producer => $3, producer_epoch => $4, producer_seq => $5)",
                                      ["s", "x", "p", "7", "1"], [0, 0, 0, 23, 23]), None)
    same("an epoch beyond int4", extended(session, "SELECT stream_append($1, $2, producer => $3, producer_epoch => $4, producer_seq => $5)",
                                          ["s", "x", "p", "9000000000", "1"]), None)
    same("the chunks", [bytes(row[0]) for row in session.rows("SELECT data FROM stream_read_since('s', 0)")],
         [b"\x00\xff", b"\x00\xff", b"plain", rb"\x00ff", b"x", b"x"])
    same("the producer", session.row("SELECT * FROM stream_producer_state('s', 'p')"), (9000000000, 1, 6))
    answer = session.attempt("SELECT stream_append('s', 'a' || 'b')")
    same("stream_append of a text expression is refused, not guessed", answer, "42883")


main(every_call, overloads, what_is_stored)
