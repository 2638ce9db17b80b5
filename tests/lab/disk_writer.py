"""Writes to the logs of scenario disk-space, as well as the disk lets it, and holds files open.

usage: disk_writer.py DISK READY
"""

import os
import sys
import time


def main(disk, ready):
    appending = os.open(f"{disk}/logs/app.log", os.O_WRONLY | os.O_APPEND)
    careless = os.open(f"{disk}/logs/reports.log", os.O_WRONLY)
    os.lseek(careless, 0, os.SEEK_END)
    held = os.open(f"{disk}/tmp/held", os.O_RDONLY)
    deleted = os.open(f"{disk}/tmp/deleted", os.O_RDWR | os.O_CREAT)
    os.write(deleted, bytes(4 << 20))
    os.unlink(f"{disk}/tmp/deleted")
    with open(ready, "w", encoding="ascii"):
        pass
    while held:
        for descriptor in (appending, careless):
            try:
                os.write(descriptor, b"2026-11-21 INFO still here\n")
            except OSError:
                pass      # the disk is full: that is what the scenario is about
        time.sleep(0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
