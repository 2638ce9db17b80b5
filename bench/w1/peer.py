import datetime
import glob
import os
import re
import socket
import ssl
import sys
import time
import urllib.parse

import psycopg2
import redis
import requests

well = failed = 0


def check(name, is_well):
    global well, failed
    print("OK     " if is_well else "NOT OK ", name)
    well, failed = well + bool(is_well), failed + (not is_well)


session = requests.Session()
session.headers["Authorization"] = f"Bearer {os.environ['ADMIN_TOKEN']}"


def ask(path, **query):
    answer = session.get(os.environ["APP_URL"] + path, params=query, timeout=10)
    answer.raise_for_status()
    return answer


answer = ask("/health")
check("application status", answer.json()["status"] == "healthy")
check("response time", answer.elapsed.total_seconds() <= 0.5)
detail = ask("/api/health").json()
check("database", detail["database"] == "connected")
made = datetime.datetime.fromisoformat(detail["timestamp"])
check("age of the detailed health", time.time() - made.timestamp() <= 300)
check("memory of the application", detail["memory"]["used"] / detail["memory"]["total"] <= 0.8)
figures = ask("/api/admin/monitoring/analytics", period="24h").json()["data"]
check("average response time", figures["avg_response_time"] <= 500)
check("error rate", figures["error_rate"] <= 1)
check("cache hit rate", figures["cache_hit_rate"] >= 80)
figures = ask("/api/admin/database/performance").json()["data"]
check("mean query time", figures["avg_query_time"] <= 100)
check("slow queries", figures["slow_queries"] <= 10)
check("cache hits", ask("/api/cache/analytics", period="24h").json()["data"]["hit_rate"] >= 80)
figures = ask("/api/admin/queues/stats").json()["data"]
check("jobs that wait", figures["depth"] <= 1000)
check("jobs that failed", figures["failed"] == 0)

with psycopg2.connect(os.environ["DATABASE_URL"]) as db, db.cursor() as cursor:
    cursor.execute("SELECT coalesce(state, 'unknown'), count(*) FROM pg_stat_activity"
                   " WHERE backend_type = 'client backend' GROUP BY 1")
    states = cursor.fetchall()
    cursor.execute("SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int")
    limit = cursor.fetchone()[0]
    print(states)
    check("connections used", sum(count for _, count in states) <= 0.8 * limit)

cache = redis.Redis.from_url(os.environ["REDIS_URL"])
check("redis answers", cache.ping())
info = cache.info()
check("redis memory used", info["used_memory"] <= 0.8 * (info["maxmemory"] or info["total_system_memory"]))

full = []
with open("/proc/mounts", encoding="utf-8") as mounts:
    for line in mounts:
        _, mount, _, options, *_ = line.split()
        try:
            facts = os.statvfs(mount)
        except OSError:
            continue
        if facts.f_blocks and "ro" not in options.split(","):
            used = facts.f_blocks - facts.f_bfree
            if used > 0.8 * (used + facts.f_bavail):
                full.append(mount)
check("disks", not full)

word = re.compile(r'ERROR|FATAL|"level":"error"')
with open(os.environ["BENCH_LOG"], encoding="utf-8") as log:
    check("errors in the log", sum(bool(word.search(line)) for line in log) <= 10)

place = urllib.parse.urlsplit(os.environ["APP_TLS_URL"])
context = ssl.create_default_context(cafile=os.environ["APP_CA"])
with socket.create_connection((place.hostname, place.port), 10) as link:
    with context.wrap_socket(link, server_hostname=place.hostname) as secure:
        end = ssl.cert_time_to_seconds(secure.getpeercert()["notAfter"])
check("days left on the certificate", (end - time.time()) / 86400 >= 30)

newest = max((os.stat(path) for path in glob.glob(os.environ["BENCH_BACKUPS"] + "/*.dump")), key=lambda s: s.st_mtime)
check("age of the newest backup", time.time() - newest.st_mtime <= 26 * 3600)
check("size of the newest backup", newest.st_size > 0)
print(f"answer: {well} well, {failed} not")
sys.exit(failed > 0)
