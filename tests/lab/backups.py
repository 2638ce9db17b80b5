"""Backups of the lab's database and files in its bucket, and what can be wrong with them."""

import hashlib
import os
import shutil
import subprocess
import time

import database
import s3_peer

HOUR = 3600
DATABASE, MEDIA = "postgres/", "media/"
# Not the newest, but the last by name: who sorts by name takes it for the newest.
DECOY = DATABASE + "zz-before-migration.dump"


def dump(lab):
    """The bytes of a real pg_dump, custom format."""
    done = subprocess.run(
        [f"{database.BIN}/pg_dump", "--format=custom", f"--dbname={lab.conninfo()}"],
        stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"pg_dump ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def damage(body):
    """Starts well, is as long as before, and is broken in the middle."""
    middle = len(body) // 2
    return body[:middle] + bytes(byte ^ 0x5A for byte in body[middle:middle + 64]) + body[middle + 64:]


def put(lab, key, body, age):
    """An object that is as old as that, in seconds."""
    s3_peer.put(lab, key, body)
    moment = time.time() - age
    os.utime(s3_peer.stored(lab, key), (moment, moment))


def put_backup(lab, key, body, age, checksum_of=None):
    put(lab, key, body, age)
    digest = hashlib.sha256(body if checksum_of is None else checksum_of).hexdigest()
    put(lab, key + ".sha256", f"{digest}  {os.path.basename(key)}\n".encode(), age)


def name(age):
    return DATABASE + time.strftime("backup_%Y%m%d_%H%M%S.dump", time.gmtime(time.time() - age))


def fill(lab, newest=HOUR / 2, spoil=lambda body: body):
    """Six backups, six hours apart, the newest so old and spoilt; and some media files. Nothing else stays."""
    if not lab.facts.get("s3"):
        raise RuntimeError("the lab has no S3 server: './dev setup --test' installs it, then take the lab down and up")
    for place in (DATABASE, MEDIA):
        shutil.rmtree(lab.path("s3", s3_peer.BUCKET, place.rstrip("/")), ignore_errors=True)
    body = dump(lab)
    for number in range(6):
        age = newest + number * 6 * HOUR
        put_backup(lab, name(age), spoil(body) if number == 0 else body, age, checksum_of=body)
    put_backup(lab, DECOY, body, 40 * 24 * HOUR)
    for number in range(12):
        put(lab, f"{MEDIA}2026/{1 + number % 3:02}/clip-{number}.bin", bytes(1000 * (number + 1)), number * HOUR)
    print(f"{s3_peer.BUCKET}: 7 backups of {len(body)} bytes, the newest {newest / HOUR:.1f} h old; 12 media files")


def break_corrupt(lab):
    fill(lab, spoil=damage)
    print("backup-corrupt: the newest backup is as long as it was and damaged in the middle")


def break_missing(lab):
    fill(lab, newest=72 * HOUR)
    print("backup-missing: no backup was made in the last three days")


SCENARIOS = {
    "backup-corrupt": (break_corrupt, fill),
    "backup-missing": (break_missing, fill),
}
