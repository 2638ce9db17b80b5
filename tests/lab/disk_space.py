"""Scenario disk-space: a small file system is full of old logs, old backups, an old journal and things left behind.

It lies on LAB/disk, a tmpfs of its own. A program goes on writing: it appends to one log, writes another without
appending, holds a temporary file open and one that was deleted.
"""

import hashlib
import os
import random
import subprocess
import sys
import time
import uuid

import app_scenarios
import database
import docker_store

SIZE = 96 << 20
MEGABYTE = 1 << 20
DAY = 86400
JOURNALS = "/lib/systemd/systemd-journal-remote"
SEED = 17


def environment(lab):
    """Variables that the lab's environment names."""
    return {"LAB_DISK": lab.path("disk"), "LAB_DISK_LOGS": lab.path("disk", "logs"), "LAB_DISK_TMP": lab.path("disk", "tmp"),
            "LAB_DISK_BACKUPS": lab.path("disk", "backups"), "LAB_DISK_JOURNAL": lab.path("disk", "journal")}


def lines(size, chance):
    """Text as logs hold it, which packs to about a tenth."""
    words = ["GET /api/items 200", "POST /api/items 201", "GET /health 200", "cache miss", "slow query"]
    text = [f"2026-11-0{chance.randint(1, 9)} 0{chance.randint(0, 9)}:00:00 INFO {chance.choice(words)} "
            f"{chance.randint(1, 999)} ms\n" for _ in range(2000)]
    block = "".join(text).encode()
    return (block * (size // len(block) + 1))[:size]


def write(path, data, days=0.0):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    moment = time.time() - days * DAY
    os.utime(path, (moment, moment))


def write_journal(directory, days):
    """An archived file of a journal, made by systemd's own program, as its name says `days` old."""
    machine, boot, began = uuid.uuid4().hex, uuid.uuid4().hex, int((time.time() - days * DAY) * 1e6)
    entries = "".join(
        f"__CURSOR=s={machine};i={n:x}\n__REALTIME_TIMESTAMP={began + n * 1000000}\n__MONOTONIC_TIMESTAMP={n * 1000000}\n"
        f"_BOOT_ID={boot}\n_MACHINE_ID={machine}\n_HOSTNAME=lab\nPRIORITY=6\nMESSAGE=entry {n} of the lab\n\n"
        for n in range(1, 51))
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, f"system@{machine}-0000000000000001-{began:016x}.journal")
    subprocess.run([JOURNALS, f"--output={path}", "-"], input=entries.encode(), check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    os.utime(path, (began / 1e6, began / 1e6))


def fill(disk):
    """Takes all that is left, also while others write."""
    with open(os.path.join(disk, "data", "table"), "ab", buffering=0) as file:
        for piece in (MEGABYTE, 4096):
            try:
                while file.write(bytes(piece)) == piece:
                    pass
            except OSError:
                pass


def populate(disk):
    chance = random.Random(SEED)
    for n in range(8):
        write(f"{disk}/logs/app.log.{n + 1}", lines(2 * MEGABYTE, chance), days=8 + n)
    write(f"{disk}/logs/app.log.yesterday", lines(MEGABYTE, chance), days=1)
    for n in range(3):
        write(f"{disk}/logs/old/app.log-{n}.gz", chance.randbytes(2 * MEGABYTE), days=40 + n)
    write(f"{disk}/logs/old/app.log-young.gz", chance.randbytes(MEGABYTE), days=10)
    for name in ("app.log", "reports.log"):
        write(f"{disk}/logs/{name}", lines((12 if name == "app.log" else 2) * MEGABYTE, chance))
    for n in range(3):
        write(f"{disk}/tmp/upload-{n}", chance.randbytes(2 * MEGABYTE), days=9)
    write(f"{disk}/tmp/young", chance.randbytes(4096), days=1)
    write(f"{disk}/tmp/held", chance.randbytes(4096), days=9)
    for n in range(3):
        write(f"{disk}/backups/app-{n}.dump", chance.randbytes(4 * MEGABYTE), days=35 + n)
    newest = b"PGDMP" + chance.randbytes(MEGABYTE)
    write(f"{disk}/backups/app-9.dump", newest, days=0.2)
    write(f"{disk}/backups/app-9.dump.sha256", f"{hashlib.sha256(newest).hexdigest()}  app-9.dump\n".encode(), days=0.2)
    if os.access(JOURNALS, os.X_OK):
        machine = os.path.join(disk, "journal", uuid.uuid4().hex)
        write_journal(machine, 5)
        write_journal(machine, 0.5)
    os.makedirs(f"{disk}/data")


def break_it(lab):
    disk, ready = lab.path("disk"), lab.path("disk-writer.ready")
    os.makedirs(disk, exist_ok=True)
    database.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "opsrun-lab", disk])
    populate(disk)
    docker_store.fill(lab)
    if os.path.exists(ready):
        os.unlink(ready)
    lab.processes.start("disk-writer", [sys.executable, os.path.join(database.HERE, "disk_writer.py"), disk, ready],
                        lab.path("disk-writer.log"), ready=lambda: os.path.exists(ready))
    fill(disk)
    stat = os.statvfs(disk)
    print(f"disk-space: {stat.f_bavail * stat.f_frsize} of {SIZE} bytes are free on {disk}; a program goes on writing to"
          " logs/app.log")


def mend(lab):
    lab.processes.stop("disk-writer")
    docker_store.empty(lab)
    app_scenarios.unmount(lab)


SCENARIOS = {"disk-space": (break_it, mend)}
