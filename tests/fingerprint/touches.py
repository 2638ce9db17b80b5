"""Small changes of every kind, made directly: the fingerprint must see each, or it would prove nothing."""

import json
import os
import socket
import urllib.error
import urllib.request

import pq
import resp

SQL = (
    "UPDATE victim SET note = note WHERE id = 2", "INSERT INTO victim VALUES (9001, 'x')", "DELETE FROM victim WHERE id = 9001",
    "SELECT * FROM victim WHERE id = 3 FOR SHARE", "SELECT nextval('victim_sequence')", "SELECT setval('victim_sequence', 7)",
    "NOTIFY ops", "NOTIFY nobody_listens", "CREATE TABLE extra ()", "CREATE ROLE extra", "ALTER ROLE victim_role NOLOGIN",
    "ALTER SYSTEM SET work_mem = '6MB'", "SELECT pg_reload_conf()", "ALTER DATABASE app SET work_mem = '3MB'", "GRANT SELECT ON victim TO PUBLIC",
    "COMMENT ON TABLE victim IS 'seen'", "SELECT lo_put(4711, 0, 'LARGE')", "SELECT lo_create(4712)", "SELECT pg_stat_reset()",
    "SELECT pg_stat_statements_reset()", "SELECT pg_stat_reset_shared('bgwriter')", "SELECT pg_create_physical_replication_slot('extra')",
    "SELECT pg_drop_replication_slot('victim_slot')", "REFRESH MATERIALIZED VIEW victim_view", "CREATE INDEX ON victim (note)", "ANALYZE victim",
    "VACUUM victim", "CHECKPOINT", "SELECT pg_switch_wal()", "SELECT pg_current_xact_id()", "CREATE DATABASE extra TEMPLATE template0",
    "SELECT pg_replication_origin_create('extra')", "CREATE TEMP TABLE t AS SELECT 1", "COPY (SELECT 1) TO 'DIR/copied'",
    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim-busy'",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim-holder'",
)
REDIS = (
    ("SET", "string", "7"), ("SET", "new", "x"), ("EXPIRE", "hash", "99999"), ("PERSIST", "expiring"), ("DEL", "new"), ("TOUCH", "string"),
    ("CONFIG", "SET", "maxmemory-samples", "6"), ("CONFIG", "RESETSTAT"), ("PUBLISH", "ops", "x"), ("SCRIPT", "FLUSH"), ("FUNCTION", "FLUSH"),
    ("ACL", "SETUSER", "victim", "off"), ("EVAL", "return 1", "0"), ("CLIENT", "PAUSE", "1"), ("PFCOUNT", "hll"), ("SWAPDB", "1", "2"),
    ("LATENCY", "RESET"), ("CONFIG", "REWRITE"), ("SLOWLOG", "RESET"), ("CLIENT", "KILL", "TYPE", "pubsub"),
)


def file_touches(ground):
    """(name, what to call) for the playground."""
    return (
        ("chmod", lambda: os.chmod(ground.path("file"), 0o600)), ("touch", lambda: os.utime(ground.path("file"))),
        ("the same bytes again", lambda: rewrite(ground.path("file"))), ("link", lambda: os.link(ground.path("file"), ground.path("other"))),
        ("remove", lambda: os.unlink(ground.path("other"))), ("symlink", lambda: os.symlink("x", ground.path("symlink"))),
        ("rename", lambda: os.rename(ground.path("empty"), ground.path("moved"))), ("nice", lambda: renice(ground.process.pid)),
        ("oom score", lambda: write(f"/proc/{ground.process.pid}/oom_score_adj", "100")),
        ("a connection", lambda: connect(ground.path("tcp.port"))), ("stop", lambda: os.kill(ground.process.pid, 19)),
    )


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def rewrite(path):
    with open(path, "r+b") as file:
        data = file.read()
        file.seek(0)
        file.write(data)


def renice(pid):
    os.setpriority(os.PRIO_PROCESS, pid, 5)


def connect(path):
    with open(path, encoding="ascii") as file:
        socket.create_connection(("127.0.0.1", int(file.read())), 5).close()


def http(env, method):
    request = urllib.request.Request(env["APP_URL"] + "/api/admin/feature-flags", b"{}" if method != "DELETE" else None, method=method)
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except urllib.error.HTTPError:
        pass


def post(env, name):
    urllib.request.urlopen(urllib.request.Request(env[name], json.dumps({"text": "x"}).encode()), timeout=10).close()


def sql(env, text):
    session = pq.Session(env["DATABASE_URL"] + "?sslmode=disable&application_name=touch")
    try:
        session.query(text)
    finally:
        session.close()


def redis(env, command):
    with resp.Redis(env["REDIS_URL"]) as link:
        link.pipeline([command])


def all_touches(env, ground):
    found = [(f"sql {text}", lambda t=text: sql(env, t.replace("DIR", ground.top))) for text in SQL]
    found += [(f"redis {' '.join(c)}", lambda c=c: redis(env, c)) for c in REDIS]
    found += list(file_touches(ground))
    found += [(f"http {m}", lambda m=m: http(env, m)) for m in ("POST", "PUT", "DELETE")]
    found.append(("a message to the team", lambda: post(env, "TEAM_HOOK")))
    return found
