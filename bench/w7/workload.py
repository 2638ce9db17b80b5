"""W7: a million rows, one by one."""

import pq

from workload import Workload as Base


class Workload(Base):
    title = "1,000,000 rows"
    about = ("A table of a million orders is read row by row in constant memory, without the server's help: how many are"
             " paid, and the sum of their ids. C: single row mode. Python: a named cursor. bash: psql into awk.")
    against_c = 1.5
    c_packages = ("libpq",)

    def prepare(self, place):
        rows = 10_000 if self.small else 1_000_000
        session = pq.Session(place.env["DATABASE_URL"] + "?application_name=lab-observer")
        session.query("CREATE TABLE bench_orders AS SELECT i::bigint + 9007199254740992 AS id,"
                      " (ARRAY['new', 'paid', 'shipped', 'refunded'])[1 + i % 4] AS status, i * 0.25::numeric(12, 2)"
                      " AS total, timestamptz '2026-01-01 00:00+00' + i * interval '1 second' AS made"
                      f" FROM generate_series(1, {rows}) i; ANALYZE bench_orders")
        session.close()
