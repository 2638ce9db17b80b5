"""A small Redis client for the lab and the tests: commands in one write, their replies in order."""

import socket
import urllib.parse


class Error(Exception):
    """What the server answered with a minus sign."""


class Redis:
    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.link = socket.create_connection((parts.hostname, parts.port), 10)
        self.file = self.link.makefile("rb")
        if parts.password:
            self.ask("AUTH", urllib.parse.unquote(parts.password))

    def close(self):
        self.file.close()
        self.link.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise Error("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            return Error(rest.decode())
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if rest == b"-1":
            return None
        if kind == b"$":
            return self.file.read(int(rest) + 2)[:-2]
        return [self.read() for _ in range(int(rest))]

    def pipeline(self, commands):
        """The replies; an error among them is an Error, not raised."""
        parts = []
        for command in commands:
            words = [w if isinstance(w, bytes) else str(w).encode() for w in command]
            parts.append(b"*%d\r\n" % len(words))
            parts += [b"$%d\r\n%s\r\n" % (len(w), w) for w in words]
        self.link.sendall(b"".join(parts))
        return [self.read() for _ in commands]

    def ask(self, *command):
        reply = self.pipeline([command])[0]
        if isinstance(reply, Error):
            raise reply
        return reply

    def keys(self, match="*"):
        """All keys that match, sorted."""
        found, cursor = set(), b"0"
        while True:
            cursor, some = self.ask("SCAN", cursor, "MATCH", match, "COUNT", 1000)
            found.update(some)
            if cursor == b"0":
                return sorted(found)

    def config(self):
        """All settings by name."""
        reply = self.ask("CONFIG", "GET", "*")
        return dict(zip(reply[::2], reply[1::2]))

    def info(self, name):
        """One field of INFO everything, as text; None when it is not there."""
        for line in self.ask("INFO", "everything").decode().splitlines():
            if line.startswith(name + ":"):
                return line.split(":", 1)[1]
        return None
