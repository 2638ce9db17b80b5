"""Scenario data-lost: an hour after the dump somebody deleted every order; meanwhile others wrote on."""

import hashlib
import os
import subprocess
import time

import backups
import database
import pq

AGE = 3600             # seconds the dump is old
NEWER = 120            # rows that came after it, into another table
GONE = "^app_(old|restore|undone)_"


def dumps(lab):
    return lab.path("dumps")


def environment(lab):
    return {"LAB_DUMPS": dumps(lab), "LAB_FLAG": lab.path("maintenance.flag")}


def ask(lab, text):
    """On the server's other database."""
    session = pq.Session(lab.conninfo() + " dbname=postgres")     # the later word counts
    try:
        return session.query(text)
    finally:
        session.close()


def break_it(lab):
    os.makedirs(dumps(lab), exist_ok=True)
    body, path = backups.dump(lab), os.path.join(dumps(lab), "app.dump")
    for name, content in ((path, body), (path + ".sha256", f"{hashlib.sha256(body).hexdigest()}  app.dump\n".encode())):
        with open(name, "wb") as file:
            file.write(content)
        os.utime(name, (time.time() - AGE, time.time() - AGE))
    with open(lab.path("lost.dump"), "wb") as file:      # our own: the other may be spoilt
        file.write(body)
    session = pq.Session(lab.conninfo())
    session.query("DELETE FROM orders")
    session.query(f"INSERT INTO audit_logs (actor, action) SELECT 'lab', 'late' FROM generate_series(1, {NEWER})")
    session.close()
    print(f"data-lost: the table orders is empty; a dump of an hour ago is in {dumps(lab)}; {NEWER} rows of audit_logs are newer")


def mend(lab):
    """The database as it was, under its name, alone and open."""
    for (name,) in ask(lab, f"SELECT datname FROM pg_database WHERE datname ~ '{GONE}' OR datname = 'app'"):
        ask(lab, f'DROP DATABASE "{name}" WITH (FORCE)')
    ask(lab, "CREATE DATABASE app TEMPLATE template0")
    done = subprocess.run([f"{database.BIN}/pg_restore", "--single-transaction", f"--dbname={lab.conninfo()}", lab.path("lost.dump")],
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"pg_restore ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
    for name in os.listdir(dumps(lab)):
        os.unlink(os.path.join(dumps(lab), name))
    if os.path.exists(lab.path("maintenance.flag")):
        os.unlink(lab.path("maintenance.flag"))


SCENARIOS = {"data-lost": (break_it, mend)}
