"""Stands in for two hosting platforms, as their REST APIs are documented: Vercel, and Netlify below /api/v1.

Each has one project of forty-odd deployments, of which one serves; a bearer token is checked, listings have pages,
requests are counted and turned away with 429 when the lab says so. A build takes its time; a build that fails stays
failed; what is rolled back keeps new deployments from going live.

  /_site/vercel/health /_site/netlify/health      what the project's users get: from the deployment that serves
  /_lab/requests /_lab/state                       what came in; be slow, refuse, lose an answer, serve something bad

usage: platforms.py SETTINGS      (token; port: the file its port goes into; what serves at first is no good)
"""

import hashlib
import json
import re
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlencode

from processes import write_private

DEPLOYMENTS = 45
DAY = 86400


def commit_of(number):
    return hashlib.sha1(str(number).encode()).hexdigest()


class Answer(Exception):
    """Ends a request with a status and a value."""

    def __init__(self, status, value, headers=()):
        super().__init__(status)
        self.status, self.value, self.headers = status, value, dict(headers)


class Platform:
    """What both have: deployments in the order in which they were made, one of which serves."""

    def __init__(self, token):
        self.token = token
        self.held = None             # why a new deployment does not go live by itself
        self.build_seconds, self.move_seconds = 0.3, 0.2
        self.fail_builds = False
        self.moving = None           # (when, to whom)
        self.deployments, now = [], time.time()
        for number in range(1, DEPLOYMENTS + 1):
            made = now - (DEPLOYMENTS + 1 - number) * DAY
            self.deployments.append({
                "id": self.name_of(number), "made": made, "ready": made, "good": True, "failed": number == DEPLOYMENTS - 2,
                "commit": commit_of(number), "title": f"Change number {number}", "meta": {}})
        self.serving = self.deployments[-1]["id"]

    def find(self, name):
        return next((d for d in self.deployments if d["id"] == name), None)

    def state_of(self, deployment):
        if time.time() < deployment["ready"]:
            return "building"
        return "failed" if deployment["failed"] else "ready"

    def make(self, title, meta, commit=None):
        now = time.time()
        made = {"id": self.name_of(len(self.deployments) + 1), "made": now, "ready": now + self.build_seconds, "good": True,
                "failed": self.fail_builds, "commit": commit or commit_of(len(self.deployments) + 1), "title": title,
                "meta": meta, "waits": self.held is None}
        self.deployments.append(made)
        return made

    def settle(self):
        """What has become of it since: a build that is over serves, a move that is over is made."""
        if self.moving and time.time() >= self.moving[0]:
            self.serving, self.moving = self.moving[1], None
        for deployment in self.deployments:
            if deployment.get("waits") and self.state_of(deployment) == "ready":
                deployment["waits"] = False
                if self.held is None:
                    self.serving = deployment["id"]

    def health(self):
        serving = self.find(self.serving)
        if getattr(self, "paused", False):
            raise Answer(503, {"status": "paused"})
        word = "healthy" if serving["good"] else "error"
        raise Answer(200 if serving["good"] else 500, {
            "status": word, "version": serving["commit"][:7], "deployment": serving["id"]})


class Vercel(Platform):
    PROJECT, NAME, TEAM = "prj_lab", "shop", "team_lab"

    def __init__(self, token):
        self.paused, self.job = False, None
        super().__init__(token)

    @staticmethod
    def name_of(number):
        return f"dpl_{number:04}"

    @staticmethod
    def fail(status, code, message):
        raise Answer(status, {"error": {"code": code, "message": message}})

    def too_many(self, seconds):
        now = int(time.time())
        raise Answer(429, {"error": {"code": "too_many_requests", "message": "Rate limited", "limit": {
            "total": 100, "remaining": 0, "reset": now + seconds}}}, {"Retry-After": str(seconds)})

    def shown(self, deployment, listed=True):
        state = {"building": "BUILDING", "failed": "ERROR", "ready": "READY"}[self.state_of(deployment)]
        made = int(deployment["made"] * 1000)
        value = {"name": self.NAME, "url": f"{self.NAME}-{deployment['id'][4:]}.vercel.app", "target": "production",
                 "readyState": state, "createdAt": made, "projectId": self.PROJECT, "errorMessage": None,
                 "meta": {"githubCommitSha": deployment["commit"], "githubCommitMessage": deployment["title"],
                          **deployment["meta"]}}
        if state == "ERROR":
            value["errorMessage"] = "Command \"npm run build\" exited with 1"
        if listed:
            return {**value, "uid": deployment["id"], "created": made, "state": state}
        return {**value, "id": deployment["id"]}

    def project(self):
        job = self.job and {**self.job, "jobStatus": "in-progress" if self.moving else self.job["jobStatus"]}
        return {"id": self.PROJECT, "name": self.NAME, "paused": self.paused, "lastAliasRequest": job,
                "targets": {"production": self.shown(self.find(self.serving), listed=False)}}

    def listing(self, query):
        limit = min(int(query.get("limit", 20)), 100)
        since, until = int(query.get("since", 0)), int(query.get("until", 1 << 60))
        found = [self.shown(d) for d in reversed(self.deployments)]
        found = [d for d in found if since <= d["created"] < until and query.get("state", d["state"]) == d["state"]]
        page = found[:limit]
        following = page[-1]["created"] if len(found) > limit else None
        return {"deployments": page, "pagination": {"count": len(page), "next": following, "prev": None}}

    def move(self, kind, name):
        target = self.find(name)
        if target is None:
            self.fail(404, "not_found", "The deployment could not be found.")
        if self.state_of(target) != "ready":
            self.fail(422, "bad_request", "The deployment is not ready.")
        if self.serving == name:
            self.fail(409, "conflict", f"Deployment {name} is already the current production deployment.")
        self.moving = (time.time() + self.move_seconds, name)
        self.job = {"fromDeploymentId": self.serving, "toDeploymentId": name, "jobStatus": "succeeded",
                    "requestedAt": int(time.time() * 1000), "type": kind}
        self.held = "rolled back" if kind == "rollback" else None
        return {}

    def answer(self, method, path, query, body, headers):
        if headers.get("Authorization") != f"Bearer {self.token}":
            self.fail(403, "forbidden", "Not authorized")
        if query.get("teamId", query.get("slug")) != self.TEAM:
            self.fail(404, "not_found", "Project not found.")
        parts = path.strip("/").split("/")
        if parts[0] == "v13" and parts[1] == "deployments" and method == "POST":
            wish = json.loads(body)
            source = self.find(wish.get("deploymentId"))
            if source is None or wish.get("project") != self.PROJECT or not wish.get("name"):
                self.fail(400, "bad_request", "Invalid request: `deploymentId`, `project` and `name` are needed here.")
            return 200, self.shown(self.make(source["title"], wish.get("meta") or {}, source["commit"]), listed=False)
        if parts[:2] == ["v6", "deployments"] and method == "GET":
            return 200, self.listing(query)
        if parts[:2] == ["v13", "deployments"] and len(parts) == 3 and method == "GET":
            found = self.find(self.serving if parts[2] == "shop.example.com" else parts[2])
            return (200, self.shown(found, listed=False)) if found else self.fail(404, "not_found", "Deployment not found")
        if len(parts) >= 3 and parts[1] == "projects" and parts[2] in (self.PROJECT, self.NAME):
            if parts[0] == "v9" and len(parts) == 3 and method == "GET":
                return 200, self.project()
            if method == "POST" and (parts[0], parts[3]) in (("v1", "rollback"), ("v10", "promote")):
                return 201, self.move(parts[3], parts[4])
            if method == "POST" and parts[0] == "v1" and parts[3] in ("pause", "unpause"):
                self.paused = parts[3] == "pause"
                return 200, {}
        return self.fail(404, "not_found", "Not Found")


class Netlify(Platform):
    SITE = "lab-site"

    @staticmethod
    def name_of(number):
        return f"{number:024x}"

    @staticmethod
    def fail(status, message):
        raise Answer(status, {"code": status, "message": message})

    def too_many(self, seconds):
        raise Answer(429, {"code": 429, "message": "API Rate limit exceeded"}, {
            "X-RateLimit-Limit": "500", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + seconds)})

    def shown(self, deployment):
        made = deployment["made"]
        state = {"building": "building", "failed": "error", "ready": "ready"}[self.state_of(deployment)]
        return {"id": deployment["id"], "site_id": self.SITE, "state": state, "context": "production", "branch": "main",
                "created_at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(made)) + f".{int(made % 1 * 1000):03}Z",
                "title": deployment["title"], "commit_ref": deployment["commit"],
                "locked": self.held is not None and deployment["id"] == self.serving,
                "error_message": "Build script returned non-zero exit code: 2" if state == "error" else None}

    def listing(self, query, path):
        rows, page = min(int(query.get("per_page", 100)), 100), int(query.get("page", 1))
        found = [self.shown(d) for d in reversed(self.deployments)]
        pages, links = -(-len(found) // rows), []
        for name, number in (("next", page + 1), ("last", pages)):
            if page < pages:
                links.append(f"<http://localhost/api/v1{path}?{urlencode({**query, 'page': number})}>; rel=\"{name}\"")
        return found[(page - 1) * rows:page * rows], {"Link": ", ".join(links)}

    def answer(self, method, path, query, body, headers):
        if headers.get("Authorization") != f"Bearer {self.token}":
            self.fail(401, "Access Denied")
        if match := re.fullmatch(r"/deploys/(\w+)/(lock|unlock)", path):
            self.held = "locked" if match[2] == "lock" else None
            return 200, self.shown(self.find(match[1]))
        if not path.startswith(f"/sites/{self.SITE}"):
            self.fail(404, "Not Found")
        rest = path.removeprefix(f"/sites/{self.SITE}")
        if (method, rest) == ("GET", ""):
            return 200, {"id": self.SITE, "state": "current", "published_deploy": self.shown(self.find(self.serving))}
        if (method, rest) == ("GET", "/deploys"):
            rows, links = self.listing(query, path)
            raise Answer(200, rows, links)
        if (method, rest) == ("POST", "/builds"):
            made = self.make(query.get("title", "Change number next"), {})
            return 200, {"id": "b" + made["id"], "deploy_id": made["id"], "done": False, "error": None}
        if match := re.fullmatch(r"/deploys/(\w+)(/restore)?", rest):
            found = self.find(match[1])
            if found is None:
                self.fail(404, "Not Found")
            if method == "POST" and match[2]:
                if self.state_of(found) != "ready":
                    self.fail(422, "Deploy is not ready")
                self.serving = found["id"]
                return 201, self.shown(found)
            if method == "GET" and not match[2]:
                return 200, self.shown(found)
        return self.fail(404, "Not Found")


class State:
    def __init__(self, token):
        self.lock, self.token = threading.RLock(), token
        self.reset()

    def reset(self):
        self.platforms = {"vercel": Vercel(self.token), "netlify": Netlify(self.token)}
        self.requests, self.refuse, self.seconds, self.lose, self.hold, self.fail = [], 0, 1, None, None, {}

    def change(self, wish):
        """{"refuse": N requests with 429, "seconds": they shall wait, "lose"/"hold": "POST /v13": the answer to the next
        such request never comes / comes after "hold_seconds"; "fail": {"GET /v9": 503} once; "vercel": {attributes}}"""
        if wish.get("reset"):
            self.reset()
        for name in ("refuse", "seconds", "lose", "hold", "hold_seconds", "fail"):
            if name in wish:
                setattr(self, name, wish[name])
        for name, platform in self.platforms.items():
            for attribute, value in wish.get(name, {}).items():
                if attribute == "bad":                    # the deployment that serves is no good
                    platform.find(platform.serving)["good"] = not value
                else:
                    setattr(platform, attribute, value)
        return {name: {"serving": p.serving, "held": p.held, "count": len(p.deployments)}
                for name, p in self.platforms.items()}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state = None

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        query = {name: values[-1] for name, values in parse_qs(query).items()}
        state, path = self.state, unquote(path)
        call = f"{self.command} {path}"
        try:
            with state.lock:
                if path.startswith("/_"):
                    return self.handle_lab(path, body)
                value = self.ask_platform(state, call, path, query, body)
        except Answer as answer:
            value = answer
        if state.lose and call.startswith(state.lose):
            state.lose = None
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        if state.hold and call.startswith(state.hold):
            state.hold = None
            time.sleep(state.hold_seconds)
        return self.send(value.status, value.value, value.headers)

    do_POST = do_PUT = do_HEAD = do_DELETE = do_GET

    def ask_platform(self, state, call, path, query, body):
        state.requests.append({"call": call, "query": query, "body": body.decode(errors="replace")})
        netlify = path.startswith("/api/v1/")
        platform = state.platforms["netlify" if netlify else "vercel"]
        platform.settle()
        if state.refuse > 0:
            state.refuse -= 1
            platform.too_many(state.seconds)
        for prefix in [p for p in state.fail if call.startswith(p)]:
            raise Answer(state.fail.pop(prefix), {"code": 500, "message": "the lab says so"})
        status, value = platform.answer(self.command, path.removeprefix("/api/v1") if netlify else path, query, body, self.headers)
        return Answer(status, value)

    def handle_lab(self, path, body):
        if path == "/_lab/requests":
            return self.send(200, self.state.requests)
        if path == "/_lab/state":
            for platform in self.state.platforms.values():
                platform.settle()
            return self.send(200, self.state.change(json.loads(body or b"{}")))
        match = re.fullmatch(r"/_site/(vercel|netlify)/(health|api/health)?", path)
        if not match:
            raise Answer(404, {"error": "no such page"})
        platform = self.state.platforms[match[1]]
        platform.settle()
        return platform.health()

    def send(self, status, value, headers=()):
        text = json.dumps(value).encode()
        self.send_response(status)
        for name, content in {"Content-Type": "application/json", "Content-Length": str(len(text)), **dict(headers)}.items():
            self.send_header(name, content)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def log_message(self, format, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A peer that went away is no trouble of ours."""


def serve(listener, token):
    """A server on a socket that listens; it serves once serve_forever is called."""
    handler = type("Handler", (Handler,), {"state": State(token)})
    server = Server(listener.getsockname(), handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    return server


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        settings = json.load(file)
    listener = socket.create_server(("127.0.0.1", 0))
    server = serve(listener, settings["token"])
    for platform in server.RequestHandlerClass.state.platforms.values():
        platform.find(platform.serving)["good"] = False
    write_private(settings["port"], str(listener.getsockname()[1]))
    server.serve_forever()


if __name__ == "__main__":
    main()
