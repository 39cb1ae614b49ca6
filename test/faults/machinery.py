"""What the fault test breaks: servers, a proxy, a pooler, network namespaces; and the program that follows streams meanwhile.

Everything is private to the test, below one directory, and is stopped by stop_all() by the process that was started.
Every wait has a deadline. As a script, "machinery.py forward SOCKET ADDRESS PORT" is a TCP proxy that only forwards.
"""
import json
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import threading

import psycopg2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from harness import wait_until  # noqa: E402

ROLE = "follower"       # of all clients: with no right but those that the reference's recipe gives
DATABASE = "faults"
os.environ["PATH"] += ":/usr/sbin"     # of pgbouncer, for ordinary users
started = []            # whatever stop_all() has to end, in the order in which it was started


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout[-1000:]}")
    return done.stdout


def stop_all():
    for thing in reversed(started):
        try:
            thing.end()
        except Exception as error:
            print(f"# {type(thing).__name__} was not stopped: {error}", flush=True)
    started.clear()


class Server:
    """A cluster with the extension in a schema of its own, or a standby of `source`. Its socket is in its directory."""

    def __init__(self, directory, name, port, source=None, **settings):
        self.directory, self.port = directory, port
        self.data = os.path.join(directory, name)
        self.log = os.path.join(directory, f"{name}.log")
        if source is None:
            run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
            settings = {"shared_preload_libraries": "pg_rill", "listen_addresses": "", "unix_socket_directories": directory,
                        "max_connections": 60, "fsync": "off", "log_min_messages": "warning", "log_line_prefix": "%m %a %p ", **settings}
        else:
            run("pg_basebackup", "-D", self.data, "-R", "-c", "fast", "-X", "stream",
                "-d", f"host={source.directory} port={source.port} user=postgres application_name={name}")
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as conf:
            conf.writelines(f"{key} = '{value}'\n" for key, value in {"port": port, **settings}.items())
        started.append(self)
        self.start()
        if source is None:
            self.sql("CREATE DATABASE " + DATABASE, database="postgres")
            self.sql(f"CREATE SCHEMA rill; CREATE EXTENSION pg_rill SCHEMA rill; CREATE ROLE {ROLE} LOGIN; GRANT USAGE ON SCHEMA rill TO {ROLE};"
                     f"GRANT SELECT, INSERT, UPDATE ON rill.stream TO {ROLE}")

    def control(self, *words):
        # Its output goes to a file: the server would keep a pipe open.
        with open(self.log + ".control", "w", encoding="utf-8") as output:
            subprocess.run(["pg_ctl", "-D", self.data, "-l", self.log, "-w", "-t", "60", *words], stdin=subprocess.DEVNULL,
                           stdout=output, stderr=output, check=True, timeout=120)

    def start(self):
        self.control("start")

    def stop(self, mode):
        self.control("-m", mode, "stop")

    def restart(self, mode):
        self.control("-m", mode, "restart")

    def promote(self):
        self.control("promote")

    def end(self):
        if os.path.exists(os.path.join(self.data, "postmaster.pid")):
            self.stop("immediate")

    def conninfo(self, user=ROLE):
        return f"host={self.directory} port={self.port} user={user} dbname={DATABASE} connect_timeout=2"

    def connect(self, user="postgres", database=DATABASE):
        connection = psycopg2.connect(f"host={self.directory} port={self.port} user={user} dbname={database}",
                                      application_name="fault maker", options="-c statement_timeout=30s -c search_path=rill")
        connection.autocommit = True
        return connection

    def sql(self, command, *values, database=DATABASE):
        """All rows, by a connection of its own."""
        connection = self.connect(database=database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(command, values or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def up(self):
        try:
            return self.sql("SELECT true") == [(True,)]
        except psycopg2.Error:
            return False

    def configure(self, **values):
        """Settings of the running server; None takes one back. A dot is written as two underscores."""
        connection = self.connect()
        with connection.cursor() as cursor:
            for name, value in values.items():
                name = name.replace("__", ".")
                cursor.execute(f"ALTER SYSTEM RESET {name}" if value is None else f"ALTER SYSTEM SET {name} = '{value}'")
            cursor.execute("SELECT pg_reload_conf()")
        connection.close()

    def pids(self, what):
        """The server processes whose application name, or whose type, begins so."""
        return [pid for (pid,) in self.sql("SELECT pid FROM pg_stat_activity WHERE starts_with(application_name, %s)"
                                           " OR starts_with(backend_type, %s)", what, what)]

    def terminate(self, what):
        return len(self.sql("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) pid", self.pids(what)))


class Proxy:
    """Forwards TCP connections to the server's socket, but for the time between hold() and release(): then nothing moves, while all
    connections look alive and new ones are taken by the kernel. What was under way meanwhile arrives afterwards, as it
    does when a network comes back."""

    def __init__(self, target, address="127.0.0.1", port=0):
        self.target = target
        self.listener = socket.create_server((address, port), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.open = threading.Event()
        self.open.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def conninfo(self):
        return f"host=127.0.0.1 port={self.port} user={ROLE} dbname={DATABASE} connect_timeout=2 sslmode=disable"

    def hold(self):
        self.open.clear()

    def release(self):
        self.open.set()

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            self.open.wait()
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self.target)
            except OSError:
                client.close()
                continue
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, source, target):
        try:
            while data := source.recv(65536):
                self.open.wait()
                target.sendall(data)
        except OSError:
            pass
        self.open.wait()
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Pooler:
    """PgBouncer in front of a server."""

    def __init__(self, server, mode, size):
        self.directory = os.path.join(server.directory, f"pooler-{mode}")
        self.mode = mode
        os.mkdir(self.directory, 0o700)
        self.file = os.path.join(self.directory, "pgbouncer.ini")
        with open(self.file, "w", encoding="utf-8") as ini:
            ini.write(f"[databases]\n{DATABASE} = host={server.directory} port={server.port} dbname={DATABASE}\n"
                      f"[pgbouncer]\nunix_socket_dir = {self.directory}\nlisten_port = 6432\nauth_type = trust\n"
                      f"auth_file = {self.directory}/users\npool_mode = {mode}\ndefault_pool_size = {size}\nmax_client_conn = 500\n"
                      "server_login_retry = 1\nlogfile = /dev/null\n")
        with open(os.path.join(self.directory, "users"), "w", encoding="utf-8") as users:
            users.write(f'"{ROLE}" ""\n')
        self.process = None
        started.append(self)
        self.start()

    def start(self):
        self.process = subprocess.Popen(["pgbouncer", self.file], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        if not wait_until(self._answers):
            raise RuntimeError("pgbouncer does not start")

    def _answers(self):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(os.path.join(self.directory, ".s.PGSQL.6432")) == 0

    def restart(self, how):
        self.process.send_signal(how)
        self.process.wait(timeout=60)
        self.start()

    def end(self):
        self.process.kill()
        self.process.wait(timeout=60)

    def conninfo(self):
        return f"host={self.directory} port=6432 user={ROLE} dbname={DATABASE} connect_timeout=2"


class Network:
    """Two network namespaces, of the server's proxy and of the program, with a cable in between that can be unplugged. Raises where
    the machine does not allow it."""
    NAME = "netns"
    ADDRESS = "10.213.77.1"

    def __init__(self, target):
        self.processes = []
        started.append(self)
        there = self._hold("unshare", "--user", "--map-root-user", "--net")
        self.inside_server = ["nsenter", "--target", str(there), "--user", "--net", "--preserve-credentials"]
        here = self._hold(*self.inside_server, "unshare", "--net")
        self.inside_client = ["nsenter", "--target", str(here), "--user", "--net", "--preserve-credentials"]
        self._ip(self.inside_server, "link add cable0 type veth peer name cable1 netns " + str(here))
        for inside, end, address in ((self.inside_server, "cable0", self.ADDRESS), (self.inside_client, "cable1", "10.213.77.2")):
            self._ip(inside, f"address add {address}/24 dev {end}")
            self._ip(inside, f"link set {end} up")
        self._spawn(*self.inside_server, sys.executable, "-B", os.path.abspath(__file__), "forward", target, self.ADDRESS, "5432")

    def _spawn(self, *command):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.processes.append(process)
        ready, _, _ = select.select([process.stdout], [], [], 30)
        if not ready or process.stdout.readline() != "ready\n":
            process.kill()
            raise RuntimeError(process.communicate()[1].strip() or "no answer")
        return process.pid

    def _hold(self, *command):
        return self._spawn(*command, "sh", "-c", "echo ready; exec sleep infinity")     # keeps the namespace

    @staticmethod
    def _ip(inside, words):
        run(*inside, "ip", *words.split())

    def hold(self):
        self._ip(self.inside_server, "link set cable0 down")

    def release(self):
        self._ip(self.inside_server, "link set cable0 up")

    def conninfo(self):
        return f"host={self.ADDRESS} port=5432 user={ROLE} dbname={DATABASE} connect_timeout=2 sslmode=disable"

    def end(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait(timeout=60)


class Program:
    """The writers and readers (test/faults/main.cpp)."""

    def __init__(self, program, deadline, inside=(), **arguments):
        words = [f"{name}={value}" for name, values in arguments.items() for value in (values if isinstance(values, list) else [values])]
        self.deadline = deadline
        self.process = subprocess.Popen([*inside, program, f"deadline={int(deadline)}", *words], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        started.append(self)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        answer = self._line()
        if answer != "running":
            raise RuntimeError(f"the program does not start: {answer}")

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(f"the program has ended, status {self.process.wait()}")

    def _line(self):
        try:
            return self.lines.get(timeout=4 * self.deadline)
        except queue.Empty:
            return "no answer"

    def ask(self, command):
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except OSError:
            pass
        return self._line()

    def moved(self):
        """'moved' once every writer and every reader has moved on since now, or what has not."""
        return self.ask("moved")

    def stats(self):
        return self._json("stats")

    def verdict(self):
        return self._json("end")

    def _json(self, command):
        answer = self.ask(command)
        try:
            return json.loads(answer)
        except ValueError as error:
            raise RuntimeError(answer) from error

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=60)


def send(pids, what):
    """Signals the server's processes; one that has ended meanwhile is no error."""
    for pid in pids:
        try:
            os.kill(pid, what)
        except ProcessLookupError:
            pass


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Proxy(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    print("ready", flush=True)
    signal.pause()
