"""What a Redis server holds, as {place: text}: every key's DUMP and when it expires, settings, users, functions,
scripts, clients, and how often each command was called that is no read by the server's own flags.

The looks themselves are calls, so those are read first and last: what lies between two fingerprints is other
people's.
"""

import hashlib
import socket
import ssl
import urllib.parse

import resp

OURS = "lab-fingerprint"
COUNTED = ("expired_keys", "evicted_keys", "rdb_changes_since_last_save", "rdb_last_save_time", "rdb_bgsave_in_progress",
           "aof_enabled", "aof_rewrite_in_progress", "role", "master_replid", "master_repl_offset", "connected_slaves",
           "blocked_clients", "tracking_clients", "pubsub_channels", "pubsub_patterns", "number_of_cached_scripts",
           "number_of_functions", "run_id", "loading", "maxmemory", "maxmemory_policy", "unexpected_error_replies",
           "acl_access_denied_auth", "migrate_cached_sockets")


class SecureRedis(resp.Redis):
    """The same over TLS."""

    def __init__(self, url, authority):
        parts = urllib.parse.urlsplit(url)
        context = ssl.create_default_context(cafile=authority)
        plain = socket.create_connection((parts.hostname, parts.port), 10)
        self.link = context.wrap_socket(plain, server_hostname=parts.hostname)
        self.file = self.link.makefile("rb")
        self.ask("AUTH", urllib.parse.unquote(parts.password))


def digest(value):
    return "none" if value is None else hashlib.sha256(value).hexdigest()[:16] if isinstance(value, bytes) else str(value)


def words(reply):
    """Any reply as one text."""
    if isinstance(reply, list):
        return "[" + " ".join(map(words, reply)) + "]"
    return reply.decode(errors="replace") if isinstance(reply, bytes) else str(reply)


class Keyspace:
    """Looks at one server over a connection that stays open."""

    def __init__(self, name, link, scripts=()):
        self.name, self.link, self.scripts = name, link, list(scripts)
        self.link.ask("CLIENT", "SETNAME", OURS)
        self.is_read = {}
        for entry in self.link.ask("COMMAND"):
            self.learn(entry)
        self.is_read["touch"] = False      # it says so, and moves keys in the order of eviction

    def learn(self, entry):
        self.is_read[entry[0].decode().lower()] = b"readonly" in [f for f in entry[2]]
        for sub in entry[9]:
            self.learn(sub)

    def close(self):
        self.link.close()

    def calls(self):
        """{place: calls} of every command that carries no flag `readonly`."""
        found = {}
        for line in self.link.ask("INFO", "commandstats").decode().splitlines():
            if line.startswith("cmdstat_"):
                command, told = line.removeprefix("cmdstat_").split(":", 1)
                if not self.is_read.get(command, False):
                    counts = dict(part.split("=") for part in told.split(","))
                    found[f"{self.name}/calls/{command}"] = counts["calls"]
        return found

    def keys(self):
        found = {}
        for database in range(16):
            self.link.ask("SELECT", database)
            names = self.link.keys()
            for start in range(0, len(names), 500):
                some = names[start:start + 500]
                replies = self.link.pipeline([c for n in some for c in (("DUMP", n), ("PEXPIRETIME", n))])
                for at, name in enumerate(some):
                    value, expires = replies[2 * at:2 * at + 2]
                    found[f"{self.name}/keys/{database}/{name.decode(errors='replace')}"] = f"{digest(value)} {expires}"
        self.link.ask("SELECT", 0)
        return found

    def look(self):
        """(what stands there, {place: calls} before the look, the same after it)"""
        arrived, found = self.calls(), self.keys()
        for name, value in self.link.config().items():
            found[f"{self.name}/config/{name.decode()}"] = value.decode(errors="replace")
        for user in self.link.ask("ACL", "LIST"):
            found[f"{self.name}/users/{user.decode().split()[1]}"] = user.decode()
        found[f"{self.name}/functions"] = digest(self.link.ask("FUNCTION", "DUMP"))
        found[f"{self.name}/modules"] = words(self.link.ask("MODULE", "LIST"))
        found[f"{self.name}/latency events"] = words(self.link.ask("LATENCY", "LATEST"))
        if self.scripts:
            found[f"{self.name}/scripts"] = words(self.link.ask("SCRIPT", "EXISTS", *self.scripts))
        for line in self.link.ask("CLIENT", "LIST").decode().splitlines():
            told = dict(part.split("=", 1) for part in line.split())
            if told["name"] != OURS:
                found[f"{self.name}/clients/{told['id']}"] = " ".join(
                    f"{k}={told[k]}" for k in ("name", "user", "db", "flags", "sub", "psub", "multi"))
        told = dict(line.split(":", 1) for line in self.link.ask("INFO", "everything").decode().splitlines() if ":" in line)
        for name in COUNTED:
            found[f"{self.name}/counters/{name}"] = told.get(name, "none")
        left = self.calls()
        left[f"{self.name}/calls/info"] = str(int(left[f"{self.name}/calls/info"]) + 1)      # the one that asked
        return found, arrived, left
