"""What a morning health check should find: the application down or slow, a certificate that runs out,
a disk that is full."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

import app
import database

SLOW = 2.0             # seconds every answer of the slow application takes
FULL = 97              # percent of the small disk
DISK_SIZE = 1 << 20


def tell_app(lab, handle, wish, port=None):
    url = f"http://127.0.0.1:{port or lab.facts['http']}/_lab/{handle}"
    with urllib.request.urlopen(url, data=json.dumps(wish).encode(), timeout=10) as answer:
        return json.load(answer)


def answers(port):
    """Whether anything that speaks HTTP is there."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            return answer.status > 0
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def break_app_down(lab):
    lab.processes.stop("app")
    print("app-down: nobody listens on the application's ports; mail still goes out, webhooks do not")


def mend_app_down(lab, name="app"):
    """The same application on the same ports, since they are written in people's environments."""
    if lab.processes.is_running(name):
        return
    ports, config = lab.path(f"{name}.ports"), lab.path(f"{name}.json")
    with open(config, encoding="utf-8") as file:
        facts = json.load(file)
    if os.path.exists(ports):
        with open(ports, encoding="utf-8") as file:
            database.write_private(config, json.dumps({**facts, "listen": json.load(file)}))
        os.unlink(ports)
    lab.processes.start(name, [sys.executable, os.path.join(database.HERE, "app.py"), config],
                        lab.path(f"{name}.log"), ready=lambda: os.path.exists(ports))


def break_app_sick(lab):
    """Until it is restarted: what it was told dies with the process."""
    tell_app(lab, "state", {"status": 503, "paths": ["/", "/health", "/api/health"]})
    print("app-sick: the application runs, and answers 503 until it is restarted")


def mend_app_sick(lab):
    tell_app(lab, "state", {"status": None, "paths": None})


def break_slow_app(lab):
    paths = sorted({path for method, path in app.ROUTES if method == "GET"})
    tell_app(lab, "state", {"delay": SLOW, "paths": paths})
    print(f"slow-app: every answer of the application takes {SLOW} s; its webhooks are quick")


def mend_slow_app(lab):
    tell_app(lab, "state", {"delay": 0, "paths": None})


def break_certificate(lab):
    request, certificate = lab.path("expiring.csr"), lab.path("expiring.pem")
    database.run(["openssl", "req", "-new", "-key", lab.path("app.key"), "-subj", "/CN=localhost",
                  "-out", request])
    database.sign(lab.directory, request, certificate, 3)
    tell_app(lab, "certificate", {"certificate": certificate, "key": lab.path("app.key")})
    print("certificate-expiring: the application's certificate has 3 days left")


def mend_certificate(lab):
    tell_app(lab, "certificate", {"certificate": lab.path("app.pem"), "key": lab.path("app.key")})


def break_disk_full(lab):
    disk = lab.path("disk")
    os.makedirs(disk, exist_ok=True)
    database.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE},mode=755", "opsrun-lab", disk])
    with open(os.path.join(disk, "ballast"), "wb") as file:
        file.write(bytes(DISK_SIZE * FULL // 100 // 4096 * 4096))
    print(f"disk-full: the file system on {disk} is {FULL} % full")


def unmount(lab):
    """Also when the lab goes down with the scenario on."""
    if os.path.ismount(lab.path("disk")):
        subprocess.run(["umount", lab.path("disk")], check=True, stdin=subprocess.DEVNULL)


SCENARIOS = {
    "app-down": (break_app_down, mend_app_down),
    "app-sick": (break_app_sick, mend_app_sick),
    "slow-app": (break_slow_app, mend_slow_app),
    "certificate-expiring": (break_certificate, mend_certificate),
    "disk-full": (break_disk_full, unmount),
}
