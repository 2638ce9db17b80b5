"""Counts what reaches it, for the kill matrix: one thread, and an answer about what was counted is given only when
everything that anybody has sent by then was read, also by a process that is dead by now.

  POST /mark/TAG/MARK            counts; the same Idempotency-Key once more is answered and not counted
  PUT  /switch/TAG/NAME/on       or /off; GET /switch/TAG/NAME tells how it stands
  POST /message                  a webhook: counts the text's "TAG MARK", one Idempotency-Key once
  POST /refuse/TAG/MARK          409, not counted
  GET  /has/TAG/MARK             {"has": …}
  GET  /flaky/TAG/NAME           503 the first time
  GET  /tally/TAG                {"marks": {MARK: n}, "order": […], "switches": {NAME: on}, "repeats": n}
"""

import json
import re
import selectors
import socket
import sys

REASONS = {200: "OK", 404: "Not Found", 409: "Conflict", 503: "Service Unavailable"}


class Ledger:
    """What was counted for one tag."""

    def __init__(self):
        self.marks, self.order, self.switches, self.repeats = {}, [], {}, 0
        self.keys, self.asked = set(), set()

    def count(self, mark, key):
        if key and (mark, key) in self.keys:
            self.repeats += 1
            return
        self.keys.add((mark, key))
        self.marks[mark] = self.marks.get(mark, 0) + 1
        self.order.append(mark)

    def turn(self, name, on):
        self.switches[name] = on
        self.count(f"{name}_{'on' if on else 'off'}", None)

    def tell(self):
        return {"marks": self.marks, "order": self.order, "switches": self.switches, "repeats": self.repeats}


class Server:
    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(sys.stdin, selectors.EVENT_READ)     # which ends when whoever started it is gone
        self.ledgers, self.buffers, self.waiting = {}, {}, []

    def ledger(self, tag):
        return self.ledgers.setdefault(tag, Ledger())

    def answer(self, peer, status, value):
        body = json.dumps(value).encode()
        head = f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            peer.sendall(head.encode() + body)
        except OSError:
            self.forget(peer)

    def forget(self, peer):
        if self.buffers.pop(peer, None) is not None:
            self.selector.unregister(peer)
            peer.close()

    def serve(self, method, words, headers, body):
        """(status, value) of one request; None for one that is answered when all else was read."""
        key = headers.get("idempotency-key")
        if words == ["message"]:
            for tag, mark in re.findall(r"\[([\w.-]+) (m_\w+)\]", body.decode(errors="replace"))[:1]:
                self.ledger(tag).count(mark, key)
            return 200, {}
        verb, tag, name, turned = (words + ["", "", "", ""])[:4]
        ledger = self.ledger(tag)
        if (method, verb) == ("POST", "mark"):
            ledger.count(name, key)
            return 200, {"mark": name}
        if (method, verb) == ("PUT", "switch"):
            ledger.turn(name, turned == "on")
            return 200, {"on": ledger.switches[name]}
        if (method, verb) == ("GET", "switch"):
            return 200, {"on": ledger.switches.get(name, False)}
        if (method, verb) == ("GET", "has"):
            return 200, {"has": name in ledger.marks}
        if (method, verb) == ("GET", "flaky"):
            first = name not in ledger.asked
            ledger.asked.add(name)
            return (503, {}) if first else (200, {"ready": True})
        return (409, {}) if verb == "refuse" else (404, {})

    def take(self, peer):
        """Serves every whole request that has arrived from this peer."""
        while peer in self.buffers:
            head, blank, rest = self.buffers[peer].partition(b"\r\n\r\n")
            if not blank:
                return
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            length = int(headers.get("content-length", 0))
            if len(rest) < length:
                return
            self.buffers[peer] = rest[length:]
            method, path, _ = first.split(" ")
            words = path.strip("/").split("/")
            if words[0] == "tally":
                self.waiting.append((peer, words[1]))
            else:
                self.answer(peer, *self.serve(method, words, headers, rest[:length]))

    def read(self, peer):
        if peer is self.listener:
            new, _ = peer.accept()
            self.buffers[new] = b""
            self.selector.register(new, selectors.EVENT_READ)
            return
        try:
            data = peer.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.forget(peer)
            return
        self.buffers[peer] += data
        self.take(peer)

    def run(self):
        while True:
            ready = self.selector.select(0 if self.waiting else None)
            for entry, _ in ready:
                if entry.fileobj is sys.stdin:
                    return
                if entry.fileobj is self.listener or entry.fileobj in self.buffers:
                    self.read(entry.fileobj)
            if not ready:
                for peer, tag in self.waiting:
                    self.answer(peer, 200, self.ledger(tag).tell())
                self.waiting = []


if __name__ == "__main__":
    server = Server()
    print(server.port, flush=True)
    server.run()
