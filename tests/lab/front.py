"""Scenarios service-degradation and error-rate: visitors come through nginx to two instances of the application.

nginx, the second instance `app-2` and the visitors are there only while one of these scenarios is on. As a program,
`front.py URL READY`, it is the visitors: they ask for orders, the search and the first page, and wait for each answer.
"""

import http.client
import itertools
import json
import os
import shutil
import sys
import threading
import time
import urllib.parse

import app_scenarios
import database
import lock_queue
from processes import write_private

INSTANCES = ("app", "app-2")
DELAY = 1.0            # seconds that answers of the slow application take
SLOW = ("/", "/api/orders/N", "/api/search")
PATHS = ("/api/orders/17", "/api/search?q=cats", "/", "/api/orders/4711", "/api/orders/999999")      # there is no such last one
PAUSE = 0.05           # seconds of a visitor between an answer and the next request
VISITORS = 2

# Combined with the time a request took, as nginx's own manual has it. max_fails: an instance that restarts is asked
# again at once; the other one takes its requests meanwhile.
CONFIG = """\
{user}worker_processes 1;
daemon off;
pid {room}/nginx.pid;
error_log {errors} warn;
events {{ worker_connections 256; }}
http {{
  log_format timed '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
                   '"$http_referer" "$http_user_agent" $request_time';
  access_log {access} timed;
  client_body_temp_path {room}/body;
  proxy_temp_path {room}/proxy;
  fastcgi_temp_path {room}/fastcgi;
  uwsgi_temp_path {room}/uwsgi;
  scgi_temp_path {room}/scgi;
  upstream app {{
{servers}
    keepalive 8;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization $http_authorization;
    }}
  }}
}}
"""


def program():
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def visit(url, ready, number):
    """One visitor. An answer that does not come is no reason to stop coming."""
    parts = urllib.parse.urlsplit(url)
    link = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    for path in itertools.islice(itertools.cycle(PATHS), number, None):
        try:
            link.request("GET", path)
            link.getresponse().read()
        except (OSError, http.client.HTTPException):
            link.close()
        if not os.path.exists(ready):
            write_private(ready, "")
        time.sleep(PAUSE)


def main():
    url, ready = sys.argv[1:]
    for number in range(VISITORS):
        threading.Thread(target=visit, args=(url, ready, number), daemon=True).start()
    while True:
        time.sleep(3600)


def ports_of(lab, name):
    with open(lab.path(f"{name}.ports"), encoding="utf-8") as file:
        return json.load(file)


def start_second(lab):
    with open(lab.path("app.json"), encoding="utf-8") as file:
        facts = json.load(file)
    facts.pop("listen", None)
    write_private(lab.path("app-2.json"), json.dumps(
        {**facts, "ports": lab.path("app-2.ports"), "pid": lab.path("app-2.number")}))
    app_scenarios.mend_app_down(lab, "app-2")


def start_nginx(lab):
    import lab as commands      # it imports us
    room = lab.path("nginx")
    os.makedirs(room, exist_ok=True)
    servers = "\n".join(f"    server 127.0.0.1:{ports_of(lab, name)['http']} max_fails=0;" for name in INSTANCES)

    def start(port):
        config = os.path.join(room, "nginx.conf")
        write_private(config, CONFIG.format(
            user="user root;\n" if os.geteuid() == 0 else "", room=room, port=port, servers=servers,
            access=lab.path("access.log"), errors=lab.path("nginx-errors.log")))
        lab.processes.start("nginx", [program(), "-e", lab.path("nginx-errors.log"), "-p", room, "-c", config],
                            lab.path("nginx.log"), ready=lambda: app_scenarios.answers(port))
    port = commands.on_free_port(start)
    write_private(lab.path("nginx.port"), str(port))
    return port


def start(lab):
    if program() is None:
        raise RuntimeError("nginx is not installed: './dev setup --test'")
    start_second(lab)
    url, ready = f"http://127.0.0.1:{start_nginx(lab)}", lab.path("visitors.ready")
    lab.processes.start("visitors", [sys.executable, os.path.join(database.HERE, "front.py"), url, ready],
                        lab.path("visitors.log"), ready=lambda: os.path.exists(ready))
    return url


def tell(lab, wish):
    for name in INSTANCES:
        if lab.processes.is_running(name):
            app_scenarios.tell_app(lab, "state", wish, ports_of(lab, name)["http"])


def break_slow(lab):
    url = start(lab)
    tell(lab, {"delay": DELAY, "paths": list(SLOW)})
    print(f"service-degradation: both instances behind {url} take {DELAY} s for an answer until they are restarted\n"
          'next: eval "$(./dev lab env)", which tells where that is')


def break_errors(lab):
    url = start(lab)
    lock_queue.ask(lab, "INSERT INTO audit_logs (actor, action) VALUES ('admin3', 'flag.enable new-search')")
    tell(lab, {"broken": "new-search"})
    print(f"error-rate: searches at {url} fail while the flag new-search is on\n"
          'next: eval "$(./dev lab env)", which tells where that is')


def mend(lab):
    for name in ("visitors", "nginx", "app-2"):
        lab.processes.stop(name)
    app_scenarios.mend_app_down(lab)
    app_scenarios.tell_app(lab, "state", {"delay": 0, "paths": None, "broken": None})
    lock_queue.ask(lab, "UPDATE feature_flags SET enabled = true, kill_switch = false WHERE name = 'new-search'")
    lock_queue.ask(lab, "DELETE FROM audit_logs WHERE action LIKE 'flag.enable %'")
    shutil.rmtree(lab.path("nginx"), ignore_errors=True)
    for name in ("nginx.port", "visitors.ready", "app-2.ports", "app-2.json", "app-2.number"):
        if os.path.exists(lab.path(name)):
            os.unlink(lab.path(name))
    write_private(lab.path("access.log"), "")


def environment(lab):
    """Where visitors come in. Without one of the scenarios it is the application itself, which has no access log."""
    port = lab.facts["http"]
    if os.path.exists(lab.path("nginx.port")):
        with open(lab.path("nginx.port"), encoding="ascii") as file:
            port = int(file.read())
    service = lab.path("bin", "app-service")
    return {
        "SITE_URL": f"http://127.0.0.1:{port}", "ACCESS_LOG": lab.path("access.log"), "NGINX_ERRORS": lab.path("nginx-errors.log"),
        "LAB_APP_PID": lab.path("app.number"), "LAB_APP_2_PID": lab.path("app-2.number"),
        **{f"LAB_APP_2_{verb.upper()}": f"{service} {verb} app-2" for verb in ("start", "stop")},
    }


SCENARIOS = {"service-degradation": (break_slow, mend), "error-rate": (break_errors, mend)}

if __name__ == "__main__":
    main()
