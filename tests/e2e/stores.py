"""PostgreSQL and Redis of a stack: a database from the run's migrated template or a private cluster that may be stopped, a Redis
server of its own, and the small clients with which tests look into both."""
import ctypes
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import threading
import urllib.parse
import uuid

from processes import CONTINUE, STOP, Process, signal_tree, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
PG_CLUSTER = ROOT / "tests" / "support" / "pg-cluster.sh"
CONNECTION_OK, COMMAND_OK, TUPLES_OK = 0, 1, 2

_pq = ctypes.CDLL("libpq.so.5")
for _name in ("PQconnectdb", "PQexec"):
    getattr(_pq, _name).restype = ctypes.c_void_p
for _name in ("PQerrorMessage", "PQgetvalue"):
    getattr(_pq, _name).restype = ctypes.c_char_p


def invariants():
    """(name, SQL that must return no rows) of db/invariants.sql."""
    parts = re.split(r"^-- invariant: (.*)$", (ROOT / "db" / "invariants.sql").read_text(), flags=re.M)
    assert len(parts) > 10, "db/invariants.sql has none"
    return [(name, sql.strip().rstrip(";")) for name, sql in zip(parts[1::2], parts[2::2])]


def broken_invariants(query):
    """What does not hold, a line each. query: runs SQL as the owner."""
    found = []
    for name, sql in invariants():
        rows = query(sql)
        if rows:
            found.append(f"{name}: {rows[:5]}")
    return found


class DatabaseError(Exception):
    """What PostgreSQL said."""


class Connection:
    """One connection through libpq; query() returns rows as lists of text, None for NULL."""

    def __init__(self, url):
        self.handle = ctypes.c_void_p(_pq.PQconnectdb(url.encode()))
        self.lock = threading.Lock()
        if _pq.PQstatus(self.handle) != CONNECTION_OK:
            message = _pq.PQerrorMessage(self.handle).decode()
            self.close()
            raise DatabaseError(message)

    def query(self, sql):
        with self.lock:
            result = ctypes.c_void_p(_pq.PQexec(self.handle, sql.encode()))
            try:
                if _pq.PQresultStatus(result) not in (COMMAND_OK, TUPLES_OK):
                    raise DatabaseError(_pq.PQerrorMessage(self.handle).decode())
                return [[None if _pq.PQgetisnull(result, row, column) else _pq.PQgetvalue(result, row, column).decode()
                         for column in range(_pq.PQnfields(result))] for row in range(_pq.PQntuples(result))]
            finally:
                _pq.PQclear(result)

    def send(self, sql):
        """Sends it, and reads no answer."""
        assert _pq.PQsendQuery(self.handle, sql.encode()) == 1

    def close(self):
        if self.handle:
            _pq.PQfinish(self.handle)
        self.handle = None


class Database:
    """A database of the stack's own, made from a template of a cluster: the migrated one."""

    def __init__(self, cluster_url, template="tiffin_template"):
        self.cluster_url = cluster_url
        self.name = "e2e_" + uuid.uuid4().hex[:16]
        self.admin(f"CREATE DATABASE {self.name} TEMPLATE {template}")
        self.connection = None

    def admin(self, sql):
        connection = Connection(self.cluster_url)
        try:
            return connection.query(sql)
        finally:
            connection.close()

    def url(self, role=None):
        """For a service's role, or for the owner."""
        parts = urllib.parse.urlsplit(self.cluster_url)
        host = parts.netloc.rpartition("@")[2]
        user = role or parts.netloc.rpartition("@")[0] or "postgres"
        return f"postgresql://{user}@{host}/{self.name}" + (f"?{parts.query}" if parts.query else "")

    def query(self, sql):
        """As the owner. A connection that a stopped server broke is made again once."""
        for last in (False, True):
            try:
                if self.connection is None:
                    self.connection = Connection(self.url())
                return self.connection.query(sql)
            except DatabaseError:
                if self.connection is not None and _pq.PQstatus(self.connection.handle) == CONNECTION_OK:
                    raise
                self.connection = None
                if last:
                    raise
        return None

    def drop(self):
        if self.connection is not None:
            self.connection.close()
        self.admin(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")


class Cluster:
    """A PostgreSQL of the test's own, to be stopped, frozen and started again. settings: of postgresql.conf, name to value."""

    def __init__(self, directory, settings=None, env=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        subprocess.run([PG_CLUSTER, "init", self.directory], check=True)
        bin_dir = os.environ.get("PG_BINDIR") or max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"),
                                                     key=lambda path: float(path.parent.name))
        argv = [str(pathlib.Path(bin_dir) / "postgres"), "-D", str(self.directory / "data"),
                *(f"--{name}={value}" for name, value in (settings or {}).items())]
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            argv = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups", "--",
                    "setpriv", "--pdeathsig", "KILL", "--", *argv]
        self.process = Process("postgres", argv, {**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}, str(self.directory) + ".log")
        host = urllib.parse.quote(str(self.directory / "socket"), safe="")
        self.url = f"postgresql://postgres@{host}/postgres"
        self.start()
        subprocess.run([PG_CLUSTER, "migrate", self.url], check=True)

    def _answers(self):
        try:
            Connection(self.url).close()
            return True
        except DatabaseError:
            return False

    def start(self):
        self.process.start()
        wait_for(self._answers, 15, "the private PostgreSQL answers")

    def stop(self):
        """Fast shutdown: sessions are ended, what is committed is on disk."""
        self.process.expected_to_run = False
        self.process.signal(signal.SIGINT)
        assert self.process.wait(20) == 0, "PostgreSQL did not stop"

    def freeze(self):
        signal_tree(self.process.pid, STOP)

    def thaw(self):
        signal_tree(self.process.pid, CONTINUE)

    def destroy(self):
        if self.process.running():
            self.thaw()
            self.process.signal(signal.SIGQUIT)
            self.process.wait(10)


class RedisError(Exception):
    """An error reply."""


class Redis:
    """A redis-server that has on disk what it has acknowledged, and a client for looking into it."""

    def __init__(self, directory, port):
        self.port = port
        self.url = f"redis://127.0.0.1:{port}"
        data = pathlib.Path(directory) / "redis"
        data.mkdir()
        self.process = Process("redis", ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(data),
                                         "--appendonly", "yes", "--appendfsync", "always", "--save", "",
                                         "--maxmemory-policy", "noeviction"],
                               dict(os.environ), str(pathlib.Path(directory) / "redis.log"))
        self.lock = threading.Lock()
        self.stream = None
        self.start()

    def _answers(self):
        try:
            return self("PING") == "PONG"
        except (OSError, RedisError):
            return False

    def start(self):
        self.process.start()
        wait_for(self._answers, 10, "Redis answers")

    def kill(self):
        self.process.end()
        self._disconnect()

    def _disconnect(self):
        if self.stream is not None:
            self.stream.close()
        self.stream = None

    def __call__(self, *command):
        """One command; the reply as text, int, list or None."""
        with self.lock:
            try:
                if self.stream is None:
                    with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                        self.stream = connection.makefile("rwb")
                parts = [str(part).encode() for part in command]
                self.stream.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(p), p) for p in parts))
                self.stream.flush()
                return self._reply()
            except (OSError, ValueError):
                self._disconnect()
                raise

    def _reply(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.stream.read(int(rest) + 2)[:-2].decode(errors="replace")
        return None if rest == b"-1" else [self._reply() for _ in range(int(rest))]
