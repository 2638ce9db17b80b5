"""Those who would notice: sessions in the middle of something, listeners to whom anything said is said, a process
that sits still, and a directory of files of every kind."""

import ctypes
import os
import shutil
import socket
import subprocess
import tempfile

import pq
import tree

CHANNELS = ("ops", "channel", "a", "evil", "x")
_notifies = pq._declare("PQnotifies", ctypes.c_void_p, ctypes.c_void_p)

SETUP = (
    "SELECT pg_create_physical_replication_slot('victim_slot', true)",
    "CREATE ROLE victim_role LOGIN PASSWORD 'x'",
    "ALTER ROLE victim_role SET work_mem = '7MB'",
    "CREATE TABLE victim (id int PRIMARY KEY, note text)",
    "INSERT INTO victim SELECT i, 'note ' || i FROM generate_series(1, 100) i",
    "CREATE SEQUENCE victim_sequence START 7",
    "SELECT nextval('victim_sequence')",
    "CREATE MATERIALIZED VIEW victim_view AS SELECT count(*) FROM victim",
    "SELECT lo_from_bytea(4711, 'large')",
    "ALTER SYSTEM SET work_mem = '5MB'",
    "COMMENT ON TABLE victim IS 'watched'",
)


def postgres(session, open_session):
    """Makes what can be changed; returns the sessions that would notice: one at work, one that holds a lock and a
    transaction, one that listens."""
    for text in SETUP:
        session.query(text)
    busy = open_session(application_name="victim-busy")
    busy.send("SELECT pg_sleep(3600)")
    holder = open_session(application_name="victim-holder")
    holder.query("BEGIN")
    holder.query("SELECT pg_advisory_lock(4711), pg_current_xact_id()")
    holder.query("SELECT * FROM victim WHERE id = 1 FOR UPDATE")
    listener = open_session(application_name="victim-listener")
    for channel in CHANNELS:
        listener.query(f"LISTEN {channel}")
    return {"busy": busy, "holder": holder, "listener": listener}


def told(listener):
    """How many notifications came since the last look."""
    listener.drain()
    count = 0
    while _notifies(listener.handle):
        count += 1
    return count


KEYS = (
    ("SET", "string", "7"), ("SET", "expiring", "x", "EX", "86400"), ("HSET", "hash", "a", "1", "b", "2"),
    ("RPUSH", "list", "a", "b", "c"), ("SADD", "set", "a", "b"), ("SADD", "set2", "b", "c"),
    ("ZADD", "zset", "1", "a", "2", "b"), ("ZADD", "zset2", "3", "b"), ("XADD", "stream", "1-1", "f", "v"),
    ("XGROUP", "CREATE", "stream", "group", "0"), ("GEOADD", "geo", "13.36", "38.11", "Palermo", "15.08", "37.50", "Catania"),
    ("PFADD", "hll", "a", "b", "c"), ("SETBIT", "bits", "7", "1"), ("ACL", "SETUSER", "victim", "on", ">x", "~a*", "+get"),
    ("FUNCTION", "LOAD", "REPLACE", "#!lua name=victim\nredis.register_function{function_name='victim', callback=function() return 1 end,"
     " flags={'no-writes'}}"),
)


def redis(link):
    """Fills a server; returns the digests of its scripts."""
    for command in KEYS:
        link.ask(*command)
    return [link.ask("SCRIPT", "LOAD", "return 1").decode()]


def hears(link):
    """What came on a connection that subscribed to everything."""
    link.link.setblocking(False)
    try:
        return len(link.link.recv(65536))
    except BlockingIOError:
        return 0
    finally:
        link.link.setblocking(True)


class Playground:
    """Files of every kind, sockets that listen, and a process that holds one of the files open."""

    def __init__(self):
        self.top = tempfile.mkdtemp(prefix="opsrun-victim-", dir="/var/tmp")      # a jail hides /tmp
        os.chmod(self.top, 0o777)
        for name, text in {"file": "42\n", "log.json": '{"time":"2026-01-01T00:00:00Z","level":"error","message":"x"}\n',
                           "deep/down/file": "x" * 5000, "empty": "", "old.log": "line\n" * 100}.items():
            os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
            with open(self.path(name), "w", encoding="utf-8") as file:
                file.write(text)
        os.utime(self.path("old.log"), (1, 1))
        os.chmod(self.path("file"), 0o644)
        os.symlink("file", self.path("link"))
        os.mkfifo(self.path("fifo"))
        try:
            os.setxattr(self.path("file"), "user.victim", b"1")
        except OSError:
            pass
        self.sockets = [socket.socket(socket.AF_UNIX), socket.socket(), socket.socket(type=socket.SOCK_DGRAM)]
        self.sockets[0].bind(self.path("socket"))
        for name, link in zip(("tcp", "udp"), self.sockets[1:]):
            link.bind(("127.0.0.1", 0))
            with open(self.path(f"{name}.port"), "w", encoding="ascii") as file:
                file.write(f"{link.getsockname()[1]}\n")
        for link in self.sockets[:2]:
            link.listen(100)
        for link in self.sockets:
            link.setblocking(False)
        with open(self.path("held"), "ab") as held:
            self.process = subprocess.Popen(["/bin/sleep", "100000"], cwd=self.top, stdin=subprocess.DEVNULL, stdout=held,
                                            env={"SECRET": "hunter2hunter2"})

    def path(self, name):
        return os.path.join(self.top, name)

    def close(self):
        self.process.kill()
        self.process.wait()
        for link in self.sockets:
            link.close()
        shutil.rmtree(self.top, ignore_errors=True)

    def heard(self, link):
        """Whether somebody said something to it."""
        try:
            if link.type == socket.SOCK_DGRAM:
                link.recv(1)
            else:
                link.accept()[0].close()
        except BlockingIOError:
            return "nothing"
        return "something"

    def victim(self):
        pid, wanted = self.process.pid, ("State:", "TracerPid:", "Uid:", "SigBlk:", "Cpus_allowed_list:")
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            told = [line.strip() for line in file if line.startswith(wanted)]
        for name in ("oom_score_adj", "limits", "comm"):
            with open(f"/proc/{pid}/{name}", encoding="ascii") as file:
                told.append(file.read())
        return f"{told} nice {os.getpriority(os.PRIO_PROCESS, pid)} policy {os.sched_getscheduler(pid)} running {self.process.poll()}"

    def look(self):
        found = tree.look("files", self.top)
        for path in ("/dev/null", "/dev/zero", "/etc/passwd", "/etc/shadow", "/etc/hosts", "/etc/hostname", "/dev/shm/opsrun-jail-test",
                     "/tmp/opsrun-probe", "/tmp/x"):
            found[f"host{path}"] = tree.describe(path)
        found["host/name"] = os.uname().nodename
        found["host/victim"] = self.victim()
        for name, link in zip(("unix", "tcp", "udp"), self.sockets):
            found[f"sockets/{name}"] = self.heard(link)
        return found
