"""The cache of the lab's application: answers of three endpoints in Redis, with the database behind them.

An entry is added where there is none (SET NX), lest two requests fill one place twice. What is there and cannot be
used, because its end is past or another version of the application wrote it, is a miss and stays: until `cleanup`,
`warm`, `rebuild` or `clear-all` do something about it.
"""

import collections
import json
import re
import threading
import time
import urllib.parse

import resp

SCHEMA = 2
LIVES = 300             # seconds
KEPT = 50_000           # looks that are remembered
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# endpoint -> (how many of it `warm` knows, what the database is asked)
ENDPOINTS = {
    "exam-info": (40, "SELECT count(*)::text || ' of ' || coalesce(max(total), 0) FROM orders WHERE user_id = $1::bigint"),
    "active-exams": (20, "SELECT coalesce(string_agg(title, ', ' ORDER BY id), '') FROM media_items WHERE user_id = $1::bigint"),
    "system-settings": (1, "SELECT string_agg(name || enabled, ', ' ORDER BY name) FROM feature_flags WHERE $1::bigint > 0"),
}


def key_of(endpoint, number):
    return f"{endpoint}:{number}"


def seconds_of(period):
    match = re.fullmatch(r"([\d.]+)(ms|[smhd])", period or "24h")
    return float(match[1]) * (0.001 if match[2] == "ms" else UNITS[match[2]])


class Cache:
    def __init__(self, redis_url, database):
        self.url, self.database, self.lock, self.redis = redis_url, database, threading.Lock(), None
        self.looks, self.invalidated = collections.deque(maxlen=KEPT), 0

    def ask(self, *commands):
        """Replies of some commands; opened again when the server closed the connection."""
        with self.lock:
            for attempt in (1, 2):
                try:
                    self.redis = self.redis or resp.Redis(self.url)
                    return self.redis.pipeline(commands)
                except (OSError, resp.Error):
                    self.redis = None
                    if attempt == 2:
                        raise

    def keys(self):
        found, cursor = [], b"0"
        while True:
            cursor, some = self.ask(("SCAN", cursor, "COUNT", 1000))[0]
            found += [key for key in some if key.decode(errors="replace").split(":")[0] in ENDPOINTS]
            if cursor == b"0":
                return sorted(set(found))

    def origin(self, endpoint, number):
        return self.database.query(ENDPOINTS[endpoint][1], number)[0][0]

    @staticmethod
    def entry(value, lives=LIVES):
        return json.dumps({"schema": SCHEMA, "ends": time.time() + lives, "value": value})

    @staticmethod
    def usable(raw):
        try:
            entry = json.loads(raw or b"null")
            return entry if entry and entry["schema"] == SCHEMA and entry["ends"] > time.time() else None
        except (ValueError, TypeError, KeyError):
            return None

    def answer(self, endpoint, number):
        key = key_of(endpoint, number)
        entry = self.usable(self.ask(("GET", key))[0])
        self.looks.append((time.time(), endpoint, entry is not None))
        if entry is None:
            entry = {"value": self.origin(endpoint, number)}
            self.ask(("SET", key, self.entry(entry["value"]), "NX", "EX", LIVES))
        return entry["value"]

    def cleanup(self):
        """Removes what is past its end, and nothing else."""
        keys = self.keys()
        gone = []
        for key, raw in zip(keys, self.ask(*[("GET", key) for key in keys]) if keys else ()):
            try:
                if json.loads(raw)["ends"] < time.time():
                    gone.append(key)
            except (ValueError, TypeError, KeyError):
                pass
        return self.remove(gone)

    def remove(self, keys):
        if keys:
            self.ask(("UNLINK", *keys))
        self.invalidated += len(keys)
        return len(keys)

    def warm(self, endpoints):
        count = 0
        for endpoint in endpoints:
            for number in range(1, ENDPOINTS[endpoint][0] + 1):
                self.ask(("SET", key_of(endpoint, number), self.entry(self.origin(endpoint, number)), "EX", LIVES))
                count += 1
        return count

    def numbers(self, period, breakdown):
        since = time.time() - seconds_of(period)
        looks = [look for look in list(self.looks) if look[0] >= since]
        told = {"hit_rate": share(looks, 100), "total_requests": len(looks), "invalidation_events": self.invalidated}
        if breakdown == "endpoint":
            by = {name: [look for look in looks if look[1] == name] for name in ENDPOINTS}
            told["endpoints"] = [{"endpoint": name, "hit_rate": share(some, 1), "requests": len(some)} for name, some in by.items()]
        return told


def share(looks, whole):
    return round(whole * sum(hit for _, _, hit in looks) / len(looks), 4) if looks else whole


# The routes: a status and what is sent as JSON. The application has a cache while a scenario gives it one.

def needs_cache(route):
    def answer(handler):
        return route(handler) if handler.state.cache else (404, {"error": "there is no cache now"})
    return answer


def query_of(handler):
    return dict(urllib.parse.parse_qsl(handler.path.partition("?")[2]))


def read(handler):
    endpoint = handler.path.partition("?")[0].rsplit("/", 1)[1]
    return 200, {"data": handler.state.cache.answer(endpoint, int(query_of(handler).get("id", "1")))}


def analytics(handler):
    """Of the cache that is there; else the numbers the lab was told to tell."""
    cache, query = handler.state.cache, query_of(handler)
    if not cache:
        return handler.numbers()
    return 200, {"data": cache.numbers(query.get("period"), query.get("breakdown"))}


def cleanup(handler):
    return 200, {"data": {"removed": handler.state.cache.cleanup()}}


def warm(handler):
    names = json.loads(handler.body or b"{}").get("endpoints") or list(ENDPOINTS)
    wrong = [name for name in names if name not in ENDPOINTS]
    if wrong:
        return 422, {"error": f"no endpoint {wrong[0]}"}
    return 200, {"data": {"warmed": handler.state.cache.warm(names)}}


def rebuild(handler):
    return 200, {"data": {"rebuilt": handler.state.cache.warm(ENDPOINTS)}}


def clear_all(handler):
    cache = handler.state.cache
    return 200, {"data": {"cleared": cache.remove(cache.keys())}}


ROUTES = {
    **{("GET", f"/api/{name}"): needs_cache(read) for name in ENDPOINTS},
    ("GET", "/api/cache/analytics"): analytics,
    ("POST", "/api/cache/cleanup"): needs_cache(cleanup),
    ("POST", "/api/cache/warm"): needs_cache(warm),
    ("POST", "/api/cache/rebuild"): needs_cache(rebuild),
    ("POST", "/api/cache/clear-all"): needs_cache(clear_all),
}
