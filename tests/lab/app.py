"""The lab's application: HTTP and HTTPS on loopback, with state that a scenario can turn.

  /health /api/health            open; JSON status and whether the database answers
  /api/orders/17 /api/search     open; the search is a new one where the flag new-search says so
  /api/admin/health /api/admin/pool /api/admin/feature-flags     bearer token
  /api/admin/monitoring/analytics /api/admin/database/performance /api/admin/queues/stats   bearer token
  /api/cache/analytics           open; these four tell the numbers the lab was told to tell
  /api/exam-info … /api/cache/warm …      a cache and what is kept in it, while a scenario gives it one: app_cache.py
  /api/admin/queues/stats failed retry    jobs in redis, while a scenario gives it some: job_queue.py
  /api/admin/memory              its heap; it leaks, and writes snapshots, in app_memory.py
  /api/report                    takes a session of the application's pool, where it has one: app_pool.py
  /v6/deployments /api/v2/status.json     stand in for Vercel's API and a provider's status page
  /api/0/organizations/lab/issues/        stands in for Sentry's
  /hooks/team                    a webhook for messages to people
  /pagerduty/v2/enqueue          stands in for PagerDuty's Events API v2, which checks what it gets
  /_lab/requests /_lab/state /_lab/reset      the lab's own handle: what came in, be slow, be broken
  /_lab/certificate              shows another certificate from now on

Its one database session is named lab-keeper; the numbers of /api/admin/pool are counted on the
server: the sessions of the application `api`, against the size its pool is said to have.
A request that takes half a second leaves a line 'slow request' in the log.
"""

import json
import os
import re
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import app_cache
import app_memory
import app_pool
import job_queue
import pq
from processes import write_private

POOL_SIZE = 50
KEPT_REQUESTS = 10_000
SLOW = 0.5             # seconds from which on a request is called slow in the log
NUMBERS = {
    "analytics": {"avg_response_time": 120.5, "error_rate": 0.2, "cache_hit_rate": 92.5},
    "performance": {"connection_count": 12, "avg_query_time": 4.2, "slow_queries": 0},
    "cache": {"hit_rate": 92.5, "total_requests": 48211, "invalidation_events": 17},
    "queues": {"depth": 3, "failed": 0},
    "provider": {"indicator": "none", "description": "All Systems Operational"},
    "deployment": {"age": 86400},
}
POOL = """
SELECT count(*), count(*) FILTER (WHERE state = 'idle'),
       count(*) FILTER (WHERE wait_event_type = 'Lock'), count(*) FILTER (WHERE state <> 'idle')
FROM pg_stat_activity WHERE application_name = 'api' AND backend_type = 'client backend'"""


def write_log(level, message):
    """One JSON line, as an application's log has them."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03}Z"
    line = {"time": stamp, "level": level, "message": message}
    sys.stderr.write(json.dumps(line, separators=(",", ":")) + "\n")


class Database:
    """One kept session, opened again when the server closed it."""

    def __init__(self, conninfo):
        self.conninfo, self.lock, self.session = conninfo, threading.Lock(), None

    def query(self, text, *values):
        with self.lock:
            for attempt in (1, 2):
                try:
                    if self.session is None:
                        self.session = pq.Session(self.conninfo)
                    return self.session.query(text, *values)
                except pq.Error:
                    if self.session is not None:
                        self.session.close()
                        self.session = None
                    if attempt == 2:
                        raise


class State:
    """What the application was told to be, and what it received."""

    def __init__(self, config):
        self.token, self.database = config["token"], Database(config["database"])
        self.lock, self.started = threading.Lock(), time.time()
        self.reset()

    def reset(self):
        self.broken = None      # the flag whose feature fails
        with self.lock:
            self.delay, self.status, self.paths, self.requests = 0.0, None, None, []
            self.numbers, self.cache, self.queue = NUMBERS, None, None

    def change(self, wish):
        """{"delay": seconds, "status": 503 or null, "paths": ["/health", …] or null for all,
        "numbers": {"queues": {"depth": 2000}}, "cache", "queue": the URL of a redis or null}"""
        with self.lock:
            if "cache" in wish:
                self.cache = app_cache.Cache(wish["cache"], self.database) if wish["cache"] else None
            if "queue" in wish:
                self.queue = job_queue.Queue(wish["queue"]) if wish["queue"] else None
            self.delay = float(wish.get("delay", self.delay))
            self.status = wish.get("status", self.status)
            self.paths = wish.get("paths", self.paths)
            self.broken = wish.get("broken", self.broken)
            if "leak" in wish:
                app_memory.HEAP.leak(wish["leak"])
            self.numbers = {name: {**told, **wish.get("numbers", {}).get(name, {})}
                            for name, told in self.numbers.items()}
            return {"delay": self.delay, "status": self.status, "paths": self.paths}

    def remember(self, entry):
        with self.lock:
            self.requests.append(entry)
            del self.requests[:-KEPT_REQUESTS]

    def trouble(self, path):
        with self.lock:
            if self.paths is not None and path not in self.paths:
                return 0.0, None
            return self.delay, self.status


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "opsrun-lab", ""
    disable_nagle_algorithm = True
    state = None

    def do_GET(self):
        self.handle_request()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET

    def handle_request(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length) if length else b""
        self.began = time.monotonic()
        path, _, query = self.path.partition("?")
        if path.startswith("/_lab/"):
            return self.handle_lab(path)
        self.state.remember({"time": time.time(), "method": self.command, "path": path,
                             "query": query, "headers": dict(self.headers),
                             "body": self.body.decode(errors="replace")})
        path = re.sub(r"/[0-9]+", "/N", path)
        delay, status = self.state.trouble(path)
        if delay:
            time.sleep(delay)
        if status:
            return self.answer(status, {"status": "error", "error": "the lab says so"})
        if path.startswith("/api/admin/") or (path.startswith("/api/cache/") and self.command == "POST"):
            if self.headers.get("Authorization") != f"Bearer {self.state.token}":
                return self.answer(401, {"error": "a bearer token is needed"})
        route = ROUTES.get((self.command if self.command != "HEAD" else "GET", path))
        if route is None:
            known = any(p == path for _, p in ROUTES)
            return self.answer(405 if known else 404, {"error": f"no {self.command} {path}"})
        try:
            self.answer(*route(self))
        except pq.Error as error:
            self.answer(503, {"status": "unhealthy", "database": "disconnected",
                              "services": {"database": "disconnected"}, "error": str(error)})

    def handle_lab(self, path):
        if path == "/_lab/requests":
            with self.state.lock:
                return self.answer(200, list(self.state.requests))
        if path == "/_lab/state":
            return self.answer(200, self.state.change(json.loads(self.body or b"{}")))
        if path == "/_lab/reset":
            self.state.reset()
            return self.answer(200, {})
        if path == "/_lab/certificate":
            wish = json.loads(self.body)
            self.state.context.load_cert_chain(wish["certificate"], wish["key"])
            return self.answer(200, {})
        return self.answer(404, {"error": "no such handle"})

    def answer(self, status, value):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def log_message(self, format, *args):
        write_log("info", format % args)

    def log_request(self, code="-", size="-"):
        took = time.monotonic() - self.began
        if took >= SLOW:
            write_log("warn", f"slow request: {self.command} {self.path} took {1000 * took:.0f} ms")
        write_log("error" if int(code) >= 500 else "info", f"{self.command} {self.path} {int(code)}")

    # The routes. Each returns a status and a value to be sent as JSON.

    def index(self):
        return 200, {"name": "lab", "version": "1.0.0"}

    def health(self):
        self.state.database.query("SELECT 1")
        if self.state.release["broken"]:
            return 500, {"status": "error", "version": self.state.release["version"]}
        return 200, {"status": "healthy", "version": self.state.release["version"], "services": {"database": "connected"},
                     "uptime": round(time.time() - self.state.started, 3)}

    def api_health(self):
        self.state.database.query("SELECT 1")
        now = time.time()
        return 200, {"status": "ok", "database": "connected", "pool": self.pool_numbers(),
                     "version": self.state.release["version"], "uptime": round(now - self.state.started, 3),
                     "memory": {"used": 96 << 20, "total": 512 << 20},
                     "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))}

    def admin_health(self):
        return 200, {"data": {"status": "healthy", "database": "connected"}}

    def pool(self):
        return 200, {"data": self.pool_numbers()}

    def pool_numbers(self):
        own = app_pool.numbers()
        if own is not None:
            return own
        total, idle, waiting, busy = map(int, self.state.database.query(POOL)[0])
        return {"total": total, "idle": idle, "waiting": waiting, "checked_out": busy,
                "size": POOL_SIZE}

    def numbers(self):
        return 200, {"data": self.state.numbers[NUMBERS_AT[self.path.partition("?")[0]]]}

    def provider(self):
        return 200, {"page": {"name": "lab"}, "status": self.state.numbers["provider"]}

    def deployments(self):
        """The last one is as old as the lab was told, in seconds; each one before is a day older."""
        newest = time.time() - self.state.numbers["deployment"]["age"]
        return 200, {"deployments": [
            {"uid": f"dpl_{i}", "name": "lab", "state": "READY", "created": int(1000 * (newest - i * 86400)),
             "meta": {"githubCommitSha": f"{i:x}" * 40, "githubCommitMessage": f"change {7 - i}"}}
            for i in range(7)]}

    def flags(self):
        rows = self.state.database.query("SELECT name, enabled, kill_switch, rollout_percentage"
                                         " FROM feature_flags ORDER BY name")
        return 200, {"data": [{"name": n, "enabled": e == "t", "kill_switch": k == "t",
                               "rollout_percentage": int(p)} for n, e, k, p in rows]}

    def set_flag(self):
        wish = json.loads(self.body)
        column = "kill_switch" if "kill_switch" in wish else "enabled"
        rows = self.state.database.query(
            f"UPDATE feature_flags SET {column} = $2 WHERE name = $1 RETURNING name",
            wish["name"], str(bool(wish[column])).lower())
        return (200, {"updated": len(rows)}) if rows else (404, {"error": "no such flag"})

    def order(self):
        rows = self.state.database.query("SELECT id, status, total FROM orders WHERE id = $1", self.path.rsplit("/", 1)[1])
        return (200, dict(zip(("id", "status", "total"), rows[0]))) if rows else (404, {"error": "no such order"})

    def search(self):
        flag = "new-search"
        [[is_on]] = self.state.database.query("SELECT enabled AND NOT kill_switch FROM feature_flags WHERE name = $1", flag)
        if is_on == "t" and self.state.broken == flag:
            write_log("error", "new-search: index version 7 cannot be read")
            return 500, {"error": "internal error"}
        rows = self.state.database.query("SELECT id, title FROM media_items ORDER BY id LIMIT 5")
        return 200, {"engine": flag if is_on == "t" else "search", "items": [title for _, title in rows]}

    def issues(self):
        """As Sentry lists them: what was seen first, how often."""
        def stamp(ago):
            return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago))
        known = [{"title": "TimeoutError: mail server", "count": "3", "userCount": 2, "firstSeen": stamp(30 * 86400)}]
        new = {"title": f"SearchIndexError: {self.state.broken}: index version 7", "count": "41", "userCount": 17, "firstSeen": stamp(1)}
        return 200, [new, *known] if self.state.broken else known

    def hook(self):
        return 200, {"ok": True}

    def pagerduty(self):
        """As documented: 202 and the dedup_key, or 400 with the reasons."""
        try:
            event = json.loads(self.body)
            wrong = wrong_event(event, self.state.token)
        except ValueError:
            wrong = ["JSON cannot be parsed"]
        if wrong:
            return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": wrong}
        return 202, {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}


def wrong_event(event, key):
    """What the Events API v2 would say of an event. The routing key is the lab's token."""
    wrong = []
    action, payload = event.get("event_action"), event.get("payload") or {}
    if event.get("routing_key") != key:
        wrong.append("'routing_key' is invalid")
    if action not in ("trigger", "acknowledge", "resolve"):
        wrong.append("'event_action' is missing or not one of trigger, acknowledge, resolve")
    if not 1 <= len(event.get("dedup_key") or "") <= 255:
        wrong.append("'dedup_key' must be 1 to 255 characters long")
    if action == "trigger":
        if not 1 <= len(payload.get("summary") or "") <= 1024:
            wrong.append("'payload.summary' must be 1 to 1024 characters long")
        if payload.get("severity") not in ("critical", "error", "warning", "info"):
            wrong.append("'payload.severity' is not one of critical, error, warning, info")
        if not payload.get("source"):
            wrong.append("'payload.source' is missing or blank")
    return wrong


def read_release(directory):
    """What the application was started from; a lab without releases runs as it always did."""
    try:
        with open(os.path.join(directory, "app-current", "release.json"), encoding="utf-8") as file:
            return json.load(file)
    except OSError:
        return {"version": "1.0.0", "broken": False}


NUMBERS_AT = {
    "/api/admin/monitoring/analytics": "analytics",
    "/api/admin/database/performance": "performance",
    "/api/admin/queues/stats": "queues",
    "/api/cache/analytics": "cache",
}
ROUTES = {
    **{("GET", path): Handler.numbers for path in NUMBERS_AT},
    **app_cache.ROUTES,
    **job_queue.ROUTES,
    **app_memory.ROUTES,
    **app_pool.ROUTES,
    ("GET", "/"): Handler.index,
    ("GET", "/health"): Handler.health,
    ("GET", "/api/orders/N"): Handler.order,
    ("GET", "/api/search"): Handler.search,
    ("GET", "/api/health"): Handler.api_health,
    ("GET", "/api/admin/health"): Handler.admin_health,
    ("GET", "/api/admin/pool"): Handler.pool,
    ("GET", "/api/admin/feature-flags"): Handler.flags,
    ("GET", "/v6/deployments"): Handler.deployments,
    ("GET", "/api/N/organizations/lab/issues/"): Handler.issues,
    ("GET", "/api/v2/status.json"): Handler.provider,
    ("POST", "/api/admin/feature-flags"): Handler.set_flag,
    ("POST", "/hooks/team"): Handler.hook,
    ("POST", "/pagerduty/v2/enqueue"): Handler.pagerduty,
}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512
    context = None

    def get_request(self):
        """A TLS handshake belongs into the connection's own thread, not here."""
        connection, address = super().get_request()
        if self.context is not None:
            connection = self.context.wrap_socket(connection, server_side=True,
                                                  do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request, client_address):
        """A peer that went away or broke the handshake is no trouble of ours."""
        write_log("info", f"{client_address}: {sys.exc_info()[1]!r}")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        config = json.load(file)
    Handler.state = State(config)
    Handler.state.release = read_release(os.path.dirname(os.path.abspath(sys.argv[1])))
    Handler.state.database.query("SELECT 1")      # there before a scenario takes the last slots
    app_memory.HEAP.listen(os.path.dirname(os.path.abspath(sys.argv[1])))
    app_pool.open_pool(config, os.path.splitext(sys.argv[1])[0] + ".env")
    listen = config.get("listen", {})
    plain, secure = (Server(("127.0.0.1", listen.get(kind, 0)), Handler) for kind in ("http", "https"))
    secure.context = Handler.state.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.context.load_cert_chain(config["certificate"], config["key"])
    write_private(config["pid"], f"{os.getpid()}\n")
    write_private(config["ports"], json.dumps(
        {"http": plain.server_port, "https": secure.server_port}))
    threading.Thread(target=secure.serve_forever, daemon=True).start()
    plain.serve_forever()


if __name__ == "__main__":
    os.umask(0o077)
    main()
