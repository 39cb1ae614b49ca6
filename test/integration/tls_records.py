#!/usr/bin/env python3
"""The client over TLS, through a proxy that packs the server's answers into TLS records of the maximum size.

PostgreSQL sends records of at most 8 kB; poolers and proxies that terminate TLS send up to 16 kB. libpq may read part of
such a record and leave the rest in the TLS library, where poll(2) does not see it. A client that then waits for the
socket waits forever (with libpq before its releases of 2026, unless the client helps). Sizes are random; the seed is
printed, and RILL_TEST_SEED repeats a run.
"""
import os
import random
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
RECORD = 16384


def certificate(directory):
    pair = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-out", pair[0], "-keyout", pair[1]], check=True, stderr=subprocess.DEVNULL)
    return pair


def connect_upstream():
    upstream = socket.socket(socket.AF_UNIX)
    upstream.connect(os.path.join(os.environ["PGHOST"], ".s.PGSQL." + os.environ["PGPORT"]))
    return upstream


class Pump:
    """Forwards bytes between a TLS client and the server until either side closes."""

    def __init__(self, client, context):
        self.lock = threading.Lock()
        request = client.recv(8, socket.MSG_WAITALL)
        if request != SSL_REQUEST:
            raise OSError("no request for TLS")
        client.sendall(b"S")
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client, self.incoming, self.outgoing = client, incoming, outgoing
        self.tls = context.wrap_bio(incoming, outgoing, server_side=True)
        self.upstream = connect_upstream()
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                client.sendall(outgoing.read())
                incoming.write(client.recv(65536))
        client.sendall(outgoing.read())
        threading.Thread(target=self.to_client, daemon=True).start()
        self.to_server()

    def to_server(self):
        data = b""  # the first bytes may have arrived with the end of the handshake
        while True:
            plain = b""
            with self.lock:
                self.incoming.write(data)
                try:
                    while part := self.tls.read(65536):
                        plain += part
                except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                    pass
            self.upstream.sendall(plain)
            data = self.client.recv(65536)
            if not data:
                break
        self.upstream.shutdown(socket.SHUT_RDWR)

    def to_client(self):
        while data := self.upstream.recv(1 << 20):
            # Data that follows at once is packed with it, so that the last record is full.
            self.upstream.settimeout(0.05)
            try:
                while more := self.upstream.recv(1 << 20):
                    data += more
            except TimeoutError:
                pass
            self.upstream.settimeout(None)
            with self.lock:
                self.tls.write(data[:len(data) % RECORD])
                for begin in range(len(data) % RECORD, len(data), RECORD):
                    self.tls.write(data[begin:begin + RECORD])
                records = self.outgoing.read()
            self.client.sendall(records)
        self.client.close()


def serve(client, context):
    try:
        Pump(client, context)
    except OSError:
        client.close()


def main():
    seed = int(os.environ.get("RILL_TEST_SEED", random.SystemRandom().getrandbits(32)))
    print(f"RILL_TEST_SEED={seed}")
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as directory:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate(directory))
        listener = socket.create_server(("127.0.0.1", 0))

        def accept():
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0], context), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        database = f"dbname={os.environ['PGDATABASE']}"
        proxy = f"host=127.0.0.1 port={listener.getsockname()[1]} sslmode=require connect_timeout=20 {database}"
        through = ["rill", "-d", proxy]
        checks = [lambda: listing(directory, database, proxy)] + [lambda i=i: following(through, rng, f"tls-{seed}-{i}") for i in range(1)]
        failures = 0
        for number, check in enumerate(checks, 1):
            try:
                what, good = check()
            except subprocess.TimeoutExpired as timeout:
                what, good = f"{' '.join(timeout.cmd[:8])} …: no end within a minute", False
            failures += not good
            print(f"{'ok' if good else 'not ok'} {number} - {what}", flush=True)
        return 1 if failures else 0


def sql(statement):
    subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement], check=True, stdout=subprocess.DEVNULL)


def listing(directory, database, proxy):
    """Many small rows in the answer to one call."""
    sql("SELECT stream_append('tls-list-' || i, 'x') FROM generate_series(1, 900) i")

    def listed(conninfo):
        path = os.path.join(directory, "list")
        done = subprocess.run(["client_test", "-tc=helper: writes the list of all streams into a file", "-m", "-ns"],
                              env=os.environ | {"RILL_TEST_CONNINFO": conninfo, "RILL_TEST_LIST": path},
                              stdout=subprocess.PIPE, timeout=60, check=False)
        with open(path, encoding="utf-8") as file:
            return done.returncode, file.read().splitlines(), done.stdout.decode()

    # Each row has more than 50 bytes on the wire.
    want, got = listed(database), listed(proxy)
    good = want[0] == 0 and len(want[1]) * 50 > 2 * RECORD and got[:2] == want[:2]
    if not good:
        print("# " + (want[2] + got[2]).replace("\n", "\n# "))
    return f"the list of {len(want[1])} streams", good


def following(through, rng, name):
    """Many small pages in one answer to a client that follows streams."""
    sizes = [rng.randrange(2000, 7000) for _ in range(15)]
    streams = [f"{name}-{i}" for i in range(len(sizes))]
    tail = subprocess.Popen(through + ["tail", "-f", "-q", "--from", "start"] + streams,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        # The streams must not exist yet: an existing one is printed before the others are followed.
        tail.wait(0.5)
    except subprocess.TimeoutExpired:
        pass
    values = ", ".join(f"('{stream}', {size})" for stream, size in zip(streams, sizes))
    sql(f"SELECT stream_append(s, convert_to(repeat('x', n), 'UTF8'), true) FROM (VALUES {values}) v(s, n)")
    try:
        out, complaints = tail.communicate(timeout=60)
    finally:
        tail.kill()
    return f"rill tail -f of {len(sizes)} streams", \
        tail.returncode == 0 and out == b"x" * sum(sizes) and not complaints


sys.exit(main())
