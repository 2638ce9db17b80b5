"""Scenarios bad-release and bad-deployment: what was put in place last does not work, and something before it did.

bad-release: the lab's application runs from `app-current`, a link to one of five directories in `app-releases`; the last
two of them are broken, and a migration came with the last. bad-deployment: two hosting platforms (platforms.py), whose
newest deployment answers 500.
"""

import json
import os
import shutil
import sys
import time

import app_scenarios
import database
import pq
from processes import write_private

VERSIONS = ("v1", "v2", "v3", "v4", "v5")
BROKEN = ("v4", "v5")
HOUR = 3600


def place(lab):
    return lab.path("app-releases"), lab.path("app-current")


def restart_app(lab):
    lab.processes.stop("app")
    app_scenarios.mend_app_down(lab)


def put(lab, version):
    """Points the link at a release and starts the application from it."""
    room, link = place(lab)
    os.symlink(os.path.join(room, version), f"{link}.new")
    os.replace(f"{link}.new", link)
    restart_app(lab)


def ask(lab, *statements):
    session = pq.Session(lab.conninfo("lab-observer"))
    try:
        for statement in statements:
            session.query(statement)
    finally:
        session.close()


def break_release(lab):
    room, _ = place(lab)
    shutil.rmtree(room, ignore_errors=True)
    now = time.time()
    for age, version in enumerate(reversed(VERSIONS)):
        os.makedirs(os.path.join(room, version))
        write_private(os.path.join(room, version, "release.json"), json.dumps(
            {"version": version, "broken": version in BROKEN}))
        os.utime(os.path.join(room, version), (now - (age + 1) * HOUR, now - (age + 1) * HOUR))
    ask(lab, "SET client_min_messages = warning", "DROP TABLE IF EXISTS schema_migrations",
        "CREATE TABLE schema_migrations (name text, applied_at timestamptz)",
        "INSERT INTO schema_migrations VALUES ('001_create_orders', now() - interval '30 days'),"
        " ('002_drop_legacy_column', now() - interval '90 minutes')")
    put(lab, VERSIONS[-1])
    print(f"bad-release: the application runs from {VERSIONS[-1]} and answers 500; {BROKEN[0]} is no better")


def mend_release(lab):
    room, link = place(lab)
    if os.path.lexists(link):
        os.unlink(link)
    shutil.rmtree(room, ignore_errors=True)
    ask(lab, "SET client_min_messages = warning", "DROP TABLE IF EXISTS schema_migrations")
    restart_app(lab)


def break_deployment(lab):
    settings, port = lab.path("platforms.json"), lab.path("platforms.port")
    if os.path.exists(port):
        os.unlink(port)
    write_private(settings, json.dumps({"token": lab.facts["token"], "port": port}))
    lab.processes.start("platforms", [sys.executable, os.path.join(database.HERE, "platforms.py"), settings],
                        lab.path("platforms.log"), ready=lambda: os.path.exists(port))
    print("bad-deployment: what two platforms deployed last answers 500; eval \"$(./dev lab env)\" once more")


def mend_deployment(lab):
    lab.processes.stop("platforms")


def environment(lab):
    """What `lab env` says: of the platforms only while they run."""
    room, link = place(lab)
    pairs = {"LAB_RELEASES": room, "LAB_CURRENT": link}
    try:
        with open(lab.path("platforms.port"), encoding="ascii") as file:
            base = f"http://127.0.0.1:{file.read()}"
    except OSError:
        return pairs
    return {**pairs, "VERCEL_URL": base, "VERCEL_TOKEN": lab.facts["token"], "SHOP_URL": f"{base}/_site/vercel",
            "NETLIFY_URL": f"{base}/api/v1", "NETLIFY_TOKEN": lab.facts["token"], "DOCS_URL": f"{base}/_site/netlify"}


SCENARIOS = {
    "bad-release": (break_release, mend_release),
    "bad-deployment": (break_deployment, mend_deployment),
}
