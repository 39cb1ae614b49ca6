#!/usr/bin/env python3
"""stream_append_text stores UTF-8 in a database of any encoding; names and writer_seq are compared byte by byte there.

Runs in a database with the extension; see test/lib/harness.py."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from harness import Session, admin, check, databases, main, same, PREFIX  # noqa: E402

WORDS = ("plain", "Grüßé", "ÿ", "", "a" * 3000 + "é" * 3000)


def database_of(encoding):
    name = f"{PREFIX}_{encoding.lower()}"
    admin().run(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    databases.append(name)
    session = Session(database=name)
    session.run("CREATE EXTENSION pg_rill")
    session.connection.set_client_encoding("UTF8")
    return session


def stored(session, stream="s"):
    return [bytes(data) for (data,) in session.rows("SELECT data FROM stream_read_since(%s, 0)", stream)]


def converted(encoding="LATIN1", words=WORDS):
    """A single-byte encoding: text is converted, toasted or not."""
    session = database_of(encoding)
    for word in words:
        session.run("SELECT stream_append_text('s', %s)", word)
    same(f"{encoding}: the bytes are UTF-8", stored(session), [word.encode() for word in words])
    same(f"{encoding}: read as text", [row[0] for row in session.rows("SELECT convert_from(data, 'UTF8') FROM stream_read_since('s', 0)")],
         list(words))
    session.run("CREATE TABLE t AS SELECT %s::text AS long", words[-1] * 30)
    session.run("SELECT stream_append_text('toasted', long) FROM t")
    same(f"{encoding}: toasted", stored(session, "toasted"), [(words[-1] * 30).encode()])
    # The limit is one of bytes of UTF-8.
    session.run("SET pg_rill.max_chunk_bytes = 6")
    word = words[1][-1]
    fits = 6 // len(word.encode())
    same(f"{encoding}: a chunk of 6 bytes", session.attempt("SELECT stream_append_text('size', %s)", word * fits), 1)
    same(f"{encoding}: a chunk of more", session.attempt("SELECT stream_append_text('size', %s)", word * fits + word), "54000")


def multibyte():
    """A multi-byte encoding other than UTF-8."""
    converted("EUC_JP", ("plain", "日本語", "ｶﾅ", "", "語" * 2000))


def sql_ascii():
    """SQL_ASCII: the bytes as they are if they are UTF-8, or else 22021."""
    session = database_of("SQL_ASCII")
    for word in WORDS:
        same(f"SQL_ASCII: {word[:8]!r}", session.attempt("SELECT stream_append_text('s', %s) > 0", word), True)
    same("SQL_ASCII: the bytes as they are", stored(session), [word.encode() for word in WORDS])
    for what, escape in (("LATIN1", r"Gr\374n"), ("a cut sequence", r"\303"), ("a surrogate", r"\355\240\200"), ("too long a form", r"\300\257")):
        same(f"SQL_ASCII: {what} is refused", session.attempt(f"SELECT stream_append_text('s', E'{escape}')"), "22021")
        same(f"SQL_ASCII: {what} is a chunk as bytea", session.attempt(f"SELECT stream_append('raw', '{escape}') > 0"), True)
    same("SQL_ASCII: nothing of it is stored", len(stored(session)), len(WORDS))


def bytewise():
    """writer_seq in UTF-8, whatever the collation of the database."""
    session = Session()
    order = ["10", "9", "Z", "a", "z", "zz", "é", "\u00fc", "日本", "日本語", "\U0001f30d", "\U0001f30d\u0301"]
    same("this order is the one of the bytes", sorted(order, key=str.encode), order)
    stream = f"bytewise {os.getpid()}"
    call = "SELECT outcome FROM stream_try_append(%s, '{x}', writer_seq => %s)"
    for i, value in enumerate(order):
        same(f"{value!r} is above what came before", session.attempt(call, stream, value), "stored")
        stale = [session.attempt(call, stream, earlier) for earlier in order[:i + 1]]
        check("and all up to it are stale", set(stale) == {"stale"}, stale)
    same("512 bytes", session.attempt(call, stream, "\U0001f30d" * 128), "stored")
    same("more than 512 bytes", session.attempt(call, stream, "\U0001f30d" * 128 + "x"), "22023")
    session.run("SELECT stream_delete(%s)", stream)


main(converted, multibyte, sql_ascii, bytewise)
