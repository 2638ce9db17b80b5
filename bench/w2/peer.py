import csv
import os
import time

import psycopg2
import requests

SESSIONS = """SELECT pid, usename, application_name, state, extract(epoch FROM now() - state_change)::int AS seconds,
  left(query, 200) AS query FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
  AND application_name NOT IN ('lab-keeper', 'lab-observer')"""
IDLE = SESSIONS + " AND state LIKE 'idle%' AND state_change < now() - interval '2s'"

db = psycopg2.connect(os.environ["DATABASE_URL"])
db.autocommit = True
cursor = db.cursor()


def rows(text):
    cursor.execute(text)
    return cursor.fetchall()


def percent():
    return rows("""SELECT 100 * count(*) / (current_setting('max_connections')::int
      - current_setting('superuser_reserved_connections')::int) FROM pg_stat_activity
      WHERE backend_type = 'client backend'""")[0][0]


def save(name, text):
    with open(os.path.join(os.environ["BENCH_EVIDENCE"], name), "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows(text))


print(percent(), "% used")
print(rows("SELECT state, count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY 1"))
print(rows("SELECT application_name, count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY 1"))
session = requests.Session()
pool = session.get(os.environ["APP_URL"] + "/api/admin/pool", timeout=10,
                   headers={"Authorization": f"Bearer {os.environ['ADMIN_TOKEN']}"})
pool.raise_for_status()
print(pool.json()["data"])
save("idle-sessions.csv", SESSIONS + " AND state LIKE 'idle%'")
save("idle-in-transaction.csv", SESSIONS + " AND state LIKE 'idle in transaction%'")
save("blocked-chains.csv", """SELECT waiting.pid, blocker FROM pg_stat_activity AS waiting,
  unnest(pg_blocking_pids(waiting.pid)) AS blocker WHERE wait_event_type = 'Lock'""")
for row in rows(IDLE):
    print(*row)
count = sum(ended for ended, in rows(f"SELECT pg_terminate_backend(pid) FROM ({IDLE}) AS idle"))
deadline = time.monotonic() + 300
while percent() >= 80:
    if time.monotonic() > deadline:
        raise SystemExit("the pool does not recover")
    time.sleep(5)
session.post(os.environ["TEAM_HOOK"], timeout=10, json={
    "text": f"{count} sessions were ended, {percent()} % of the connections are used"}).raise_for_status()
print(f"answer: {count} sessions ended")
