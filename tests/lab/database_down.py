"""The lab's database, down: killed, down on a full disk, or held in its crash recovery.

It is started and stopped like a service of the machine it runs on: tests/lab/bin/postgres-service.
"""

import os
import shutil
import signal
import time

import app_scenarios
import database
import pq
from processes import start_time

DISK = 24 << 20
SOON = 20              # seconds a server may take to end
HELD = 60              # seconds the recovery is held at most


def place(lab, *names):
    with open(lab.path("postgres.room"), encoding="utf-8") as file:
        return os.path.join(file.read(), *names)


def is_up(lab):
    return pq.is_up(f"host=127.0.0.1 port={lab.facts['port']} dbname=app connect_timeout=5")


def start(lab):
    """Starts it if it does not run, and does not wait until it takes connections: recovery may take its time."""
    if lab.processes.is_running("postgres"):
        return
    data = place(lab, "data")
    lab.processes.start("postgres", database.server_argv(data, lab.facts["port"], os.path.dirname(data)),
                        lab.path("postgres.log"), user=database.owner(), stop="INT")


def wait_for(what, condition, within=SOON):
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not come about within {within} s")
        time.sleep(0.02)


def children(pid):
    """Processes of a server, by pid and start time."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                parent = int(file.read().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        if parent == pid:
            found[int(name)] = start_time(int(name))
    return found


def kill(lab):
    """As the kernel does it to who takes too much memory: no word in its log, no checkpoint."""
    pid = lab.processes.pid("postgres")
    if pid is None:
        return
    workers = children(pid)
    os.kill(pid, signal.SIGKILL)
    wait_for("the server's end", lambda: not lab.processes.is_running("postgres")
             and not any(began and start_time(worker) == began for worker, began in workers.items()))
    # until init has collected it, its pid is taken, and a new server takes the killed one for alive
    for name in ("data/postmaster.pid", f".s.PGSQL.{lab.facts['port']}.lock"):
        os.unlink(place(lab, name))


def break_down(lab):
    kill(lab)
    print("database-down: the server was killed; it lies there as a crash leaves it")


def mend_down(lab):
    start(lab)
    wait_for("the server", lambda: is_up(lab), within=60)


def break_recovering(lab):
    """A recovery that asks an archive, which does not answer until LAB/recovery.go is there."""
    kill(lab)
    go, data = lab.path("recovery.go"), place(lab, "data")
    answer = f"n=0; while [ -d {lab.directory} ] && [ ! -e {go} ] && [ $n -lt {HELD * 20} ]; do n=$((n + 1)); sleep 0.05; done; exit 1"
    with open(os.path.join(data, "postgresql.auto.conf"), "a", encoding="utf-8") as file:
        file.write(f"restore_command = '{answer}'\n")
    with open(os.path.join(data, "recovery.signal"), "w", encoding="ascii"):
        pass
    os.chmod(lab.directory, 0o711)      # the server's user looks for the file
    start(lab)
    said = f"host=127.0.0.1 port={lab.facts['port']} dbname=app user=ops connect_timeout=5"
    wait_for("the recovery", lambda: "starting up" in answer_of(said))
    print(f"database-recovering: the server runs its recovery, for {HELD} s or until {go} is there")


def answer_of(conninfo):
    try:
        pq.Session(conninfo).close()
        return ""
    except pq.Error as error:
        return str(error)


def mend_recovering(lab):
    with open(lab.path("recovery.go"), "w", encoding="ascii"):
        pass
    mend_down(lab)
    auto = place(lab, "data", "postgresql.auto.conf")
    with open(auto, encoding="utf-8") as file:
        lines = [line for line in file if not line.startswith("restore_command")]
    with open(auto, "w", encoding="utf-8") as file:
        file.writelines(lines)
    os.unlink(lab.path("recovery.go"))


def chown(path):
    if database.owner() is not None:
        os.chown(path, database.owner().pw_uid, database.owner().pw_gid)


def break_full(lab):
    """Its log of writes lies on a small file system, which old logs have filled: it panics, and cannot start."""
    disk, wal = lab.path("disk"), place(lab, "data", "pg_wal")
    lab.processes.stop("postgres")
    os.makedirs(disk, exist_ok=True)
    database.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=755", "opsrun-lab", disk])
    shutil.copytree(wal, os.path.join(disk, "pg_wal"))
    shutil.rmtree(wal)
    os.symlink(os.path.join(disk, "pg_wal"), wal)
    for folder, _, names in os.walk(os.path.join(disk, "pg_wal")):
        for name in ["", *names]:
            chown(os.path.join(folder, name))
    mend_down(lab)
    fill(disk)
    session = pq.Session(lab.conninfo())
    try:
        for _ in range(200):      # a megabyte of the log each
            session.query("SELECT count(pg_logical_emit_message(true, 'lab', repeat('x', 100000))) FROM generate_series(1, 10)")
    except pq.Error:
        pass
    session.close()
    wait_for("the panic", lambda: not is_up(lab))
    wait_for("its end", lambda: not lab.processes.is_running("postgres"))
    print(f"database-disk-full: the server found no room for its log of writes on {disk}, which old logs have filled")


def fill(disk):
    logs = os.path.join(disk, "logs")
    os.makedirs(logs)
    with open(os.path.join(logs, "app.log-1.gz"), "wb", buffering=0) as file:
        for piece in (1 << 20, 4096):
            try:
                while file.write(bytes(piece)) == piece:
                    pass
            except OSError:
                pass
    moment = time.time() - 40 * 86400
    os.utime(file.name, (moment, moment))


def mend_full(lab):
    disk, wal = lab.path("disk"), place(lab, "data", "pg_wal")
    shutil.rmtree(os.path.join(disk, "logs"), ignore_errors=True)
    mend_down(lab)
    lab.processes.stop("postgres")
    os.unlink(wal)
    shutil.copytree(os.path.join(disk, "pg_wal"), wal)
    for folder, _, names in os.walk(wal):
        for name in ["", *names]:
            chown(os.path.join(folder, name))
    app_scenarios.unmount(lab)
    mend_down(lab)


def environment(lab):
    """Commands that the lab's environment names."""
    script = lab.path("bin", "postgres-service")
    return {f"LAB_POSTGRES_{verb.upper()}": f"{script} {verb}" for verb in ("start", "stop")} | {
        "LAB_POSTGRES_PID": place(lab, "data", "postmaster.pid"), "LAB_POSTGRES_DATA": f"{place(lab, 'data')},{lab.path('disk')}"}


SCENARIOS = {
    "database-down": (break_down, mend_down),
    "database-recovering": (break_recovering, mend_recovering),
    "database-disk-full": (break_full, mend_full),
}
