"""Scenario slow-queries: a table whose rows are looked for from end to end, statements that are asked a thousand
times where once would do, and indexes that nobody uses, that are there twice, not valid, or mostly empty.
"""

import pq

ROWS, KEPT = 50_000, 10_000      # rows that were there once, and those that are left: their index is as large as it was
SLOW = "SELECT id, text FROM exercises WHERE type = 'type 15' AND difficulty = 3"
TIMES, AGAIN = 5, 1000

FLUSH = "SELECT pg_stat_force_next_flush()"      # what it counted is told before it is asked for anything else

TABLE = (
    """CREATE TABLE exercises (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, type text NOT NULL,
       difficulty integer NOT NULL, text text NOT NULL, created_at timestamptz NOT NULL)""",
    f"""INSERT INTO exercises (type, difficulty, text, created_at)
        SELECT 'type ' || i % 50, i % 7, repeat(md5(i::text), 3), now() - i * interval '1 minute' FROM generate_series(1, {ROWS}) i""",
    "CREATE INDEX exercises_text ON exercises (text)",
    f"DELETE FROM exercises WHERE id % {ROWS // KEPT} <> 0",
    FLUSH,
    "VACUUM ANALYZE exercises",
    "CREATE INDEX exercises_created ON exercises (created_at)",
    "CREATE INDEX exercises_created_again ON exercises (created_at)",
    "CREATE INDEX exercises_lower ON exercises (lower(type))",
    "GRANT SELECT ON exercises TO app_api, app_worker, app_reports",
)


def ask(lab, *texts, name="lab-observer"):
    session = pq.Session(lab.conninfo(name))
    try:
        for text in texts:
            session.query(text)
    finally:
        session.close()


def break_it(lab):
    mend(lab)
    ask(lab, *TABLE)
    try:
        ask(lab, "CREATE UNIQUE INDEX CONCURRENTLY exercises_type ON exercises (type)")
    except pq.Error:
        pass                         # there are two of a type: what is left of it is not valid
    ask(lab, "SELECT pg_stat_statements_reset()")
    session = pq.Session(f"{lab.client_conninfo()} user=app_reports application_name=reports")
    for _ in range(TIMES):
        session.query(SLOW)
    session.query("SELECT id FROM exercises WHERE text = 'nobody''s'")
    for number in range(AGAIN):
        session.query(f"SELECT email FROM users WHERE id = {number}")
    session.query(FLUSH)
    session.close()
    print(f"slow-queries: {KEPT} exercises are read from end to end for 29 of them, {AGAIN} users one by one;"
          " exercises has an index that is not valid, one that is there twice, one that nobody uses and one mostly empty")


def mend(lab):
    ask(lab, "DROP TABLE IF EXISTS exercises", "ALTER DATABASE app RESET log_min_duration_statement",
        "SELECT pg_stat_statements_reset()")


SCENARIOS = {"slow-queries": (break_it, mend)}
