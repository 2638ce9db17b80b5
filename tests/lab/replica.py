"""Scenario replication-lag: a streaming replica whose replay is held up by a report, while the primary writes on.

The replica exists only while the scenario does. As a program, `replica.py PRIMARY REPLICA READY`, this is the
applications: a report on the replica, and a writer on the primary.
"""

import json
import os
import shutil
import sys
import time

import database
import lock_queue
import pq
from processes import write_private

SLOT = "lab_replica"
TABLE = "replicated_events"
REPORT = f"/* replica report */ SELECT count(*), pg_sleep(3600) FROM {TABLE}"
OPTIONS = ("max_standby_streaming_delay=-1", "wal_receiver_status_interval=1s", "hot_standby_feedback=off")
HELD = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'startup' AND wait_event LIKE 'RecoveryConflict%'"


def place(lab):
    with open(lab.path("postgres.room"), encoding="utf-8") as file:
        return os.path.join(file.read(), "replica")


def port(lab):
    with open(lab.path("replica.port"), encoding="ascii") as file:
        return int(file.read())


def wait_for(what, condition, within=20):
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not come about")
        time.sleep(0.02)


def main():
    primary, replica, ready = sys.argv[1:]
    writer, report = pq.Session(primary), pq.Session(replica)
    keeper = pq.Session(f"{primary} {replica.split(' user=')[0]} application_name=lab-keeper")     # the later word counts
    writer.query(f"CREATE TABLE {TABLE} (id int); INSERT INTO {TABLE} SELECT generate_series(1, 5000);"
                 f" GRANT SELECT ON {TABLE} TO app_reports")

    def arrived():
        try:
            return keeper.value(f"SELECT count(*) FROM {TABLE}") == "5000"
        except pq.Error:
            return False
    wait_for("the replica", arrived)
    report.send(REPORT)
    wait_for("the report", lambda: keeper.value(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '/* replica report%' AND state = 'active'") == "1")
    # what the report may still want to see is cleaned away: replay has to wait for it
    writer.query(f"DELETE FROM {TABLE}")
    writer.query(f"VACUUM {TABLE}")
    wait_for("the conflict", lambda: keeper.value(HELD) == "1")
    write_private(ready, json.dumps([report.pid]))
    writer.query("SET synchronous_commit = on")        # else what it writes is sent up to a second later
    while True:
        writer.query(f"INSERT INTO {TABLE} SELECT generate_series(1, 100)")
        report.drain()
        time.sleep(0.2)


def break_it(lab):
    data, user = place(lab), database.owner()
    source = f"host=127.0.0.1 port={lab.facts['port']} user=ops application_name=replica"
    database.run([f"{database.BIN}/pg_basebackup", "-D", data, "-d", source, "-R", "-X", "stream", "-C", "-S", SLOT,
                  "-c", "fast", "--no-sync"], user, env={**os.environ, "PGPASSWORD": lab.facts["password"]})
    number = lab_port(lab)
    write_private(lab.path("replica.port"), str(number))
    options = [word for option in OPTIONS for word in ("-c", option)]
    lab.processes.start("replica", database.server_argv(data, number, os.path.dirname(data)) + options,
                        lab.path("replica.log"), user=user, stop="INT",
                        ready=lambda: pq.is_up(f"host=127.0.0.1 port={number} dbname=app connect_timeout=5"))
    ready = lab.path("replication.ready")
    primary = lab.conninfo("writer")
    replica = f"host=127.0.0.1 port={number} dbname=app sslmode=disable user=app_reports application_name=reports"
    lab.processes.start("replication", [sys.executable, os.path.join(database.HERE, "replica.py"), primary, replica, ready],
                        lab.path("replication.log"), ready=lambda: os.path.exists(ready), within=60)
    print(f"replication-lag: a replica on 127.0.0.1:{number}; a report there holds its replay up, and the primary writes on\n"
          'next: eval "$(./dev lab env)", which tells where it is')


def lab_port(lab):
    import lab as commands      # it imports us
    return commands.free_port()


def environment(lab):
    """Where the replica is. Without the scenario it is the primary: a connection that is there, and no replica."""
    number = port(lab) if os.path.exists(lab.path("replica.port")) else lab.facts["port"]
    return {"REPLICA_URL": f"postgres://ops:{lab.facts['password']}@127.0.0.1:{number}/app"}


def mend(lab):
    lab.processes.stop("replication")
    lab.processes.stop("replica")
    shutil.rmtree(place(lab), ignore_errors=True)
    for name in ("replica.port", "replication.ready"):
        if os.path.exists(lab.path(name)):
            os.unlink(lab.path(name))
    lock_queue.ask(lab, f"DROP TABLE IF EXISTS {TABLE}")
    wait_for("the slot's end", lambda: lock_queue.ask(
        lab, f"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{SLOT}' AND active")[0][0] == "0")
    lock_queue.ask(lab, f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{SLOT}'")


SCENARIOS = {"replication-lag": (break_it, mend)}

if __name__ == "__main__":
    main()
