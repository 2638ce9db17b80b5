"""The memory of the lab's application: it tells of its heap, leaks when it is told to, and writes a snapshot at a signal.

The leak has a hard end, since the lab shares its machine with others.
"""

import ctypes
import json
import os
import signal
import threading
import time

CAP = 100 << 20         # bytes that leak at most
STEP = 0.05             # seconds


class Heap:
    """Numbers of the C library's allocator, which has the large pieces too."""

    def __init__(self):
        self.lock, self.held, self.rate, self.began = threading.Lock(), [], 0, 0.0
        self.room, self.written = None, 0

    def leak(self, rate):
        """So many bytes a second from now on; 0 ends it and frees what leaked."""
        with self.lock:
            started, self.rate, self.began = self.rate > 0, rate, time.monotonic()
            if not rate:
                self.held.clear()
        if rate and not started:
            threading.Thread(target=self.grow, daemon=True).start()

    def grow(self):
        held = 0
        while held < CAP:
            with self.lock:
                if not self.rate:
                    return
                missing = min(CAP, int(self.rate * (time.monotonic() - self.began))) - held
                if missing > 0:
                    self.held.append(b"x" * missing)
                    held += missing
            time.sleep(STEP)

    def numbers(self):
        info = MALLINFO()
        with open("/proc/self/statm", encoding="ascii") as file:
            resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return {"rss": resident, "heapUsed": info.uordblks + info.hblkhd, "heapTotal": info.arena + info.hblkhd, "external": 0}

    def listen(self, room):
        """SIGUSR2 writes a snapshot below the room."""
        self.room = os.path.join(room, "heap")
        os.makedirs(self.room, exist_ok=True)
        signal.signal(signal.SIGUSR2, lambda *_: self.write())

    def write(self):
        self.written += 1
        with open(os.path.join(self.room, f"{os.getpid()}-{self.written}.heapsnapshot"), "w", encoding="ascii") as file:
            json.dump({**self.numbers(), "largest": [len(piece) for piece in list(self.held)[-20:]]}, file)


class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]


MALLINFO = ctypes.CDLL(None).mallinfo2
MALLINFO.restype = Info
HEAP = Heap()


def tell(_):
    return 200, HEAP.numbers()


ROUTES = {("GET", "/api/admin/memory"): tell}
