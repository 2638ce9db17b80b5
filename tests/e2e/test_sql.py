"""SQL from a playbook: transactions live and rehearsed, other databases, pg_dump, exact types."""

import os
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import OPSRUN, ROOT, LabTest, main, wait_until, with_peak  # noqa: E402

HEADER = 'playbook { title = "SQL", uses = { shell = { "bash", "pg_dump", "psql" }, notify = { "team" } } }\n'


class Sql(LabTest):

    def setUp(self):
        super().setUp()
        self.room = tempfile.mkdtemp(prefix="opsrun-sql-")
        self.addCleanup(shutil.rmtree, self.room, ignore_errors=True)
        for text in ("DROP TABLE IF EXISTS stock", "CREATE TABLE stock (id int PRIMARY KEY, n int CHECK (n >= 0))",
                     "INSERT INTO stock VALUES (1, 5), (2, 0)"):
            self.lab.ask(text)

    def write(self, body):
        path = os.path.join(self.room, "trial.lua")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'{HEADER}step("Try it", function(p)\n{body}\nend)\n')
        return path

    def play(self, body, *words, **options):
        return self.opsrun("play", self.write(body), "-e", "lab", *words, **options)

    def stock(self):
        return [int(n) for (n,) in self.lab.ask("SELECT n FROM stock ORDER BY id")]

    def records(self, kind):
        return [r for r in self.journal(self.run_ids()[-1]) if r.get("kind") == kind]


MOVE = """
local done = sql "primary":transaction(function(tx)
  local n = tx:value "SELECT n FROM stock WHERE id = 1"
  tx:exec("UPDATE stock SET n = n - $1 WHERE id = 1", { n - 1 })
  tx:exec("UPDATE stock SET n = n + $1 WHERE id = 2", { n - 1 })
  return { moved = n - 1 }
end)
show("moved " .. done.value.moved .. " in " .. done.count .. " rows")
"""


class Transactions(Sql):

    def test_it_is_one_change_with_its_transaction_in_the_journal(self):
        done = self.play(MOVE)
        self.expect(done, code=0, out=["moved 4 in 2 rows"])
        self.assertEqual(self.stock(), [1, 4])
        begin, end = self.records("sql.transaction")
        self.assertEqual((begin["type"], end["type"], end["outcome"]), ("effect.begin", "effect.end", "done"))
        self.assertEqual(self.lab.ask("SELECT pg_xact_status($1::xid8)", begin["token"]["xid"])[0][0], "committed")
        self.assertEqual([s["count"] for s in end["value"]["statements"]], [1, 1])

    def test_a_rehearsal_shows_each_statement_and_makes_none(self):
        done = self.play(MOVE, "-n")
        self.expect(done, code=0, out=[r"UPDATE stock SET n = n - \$1 WHERE id = 1", r"UPDATE stock SET n = n \+ \$1",
                                       "parameters: integer"])
        self.assertEqual(self.stock(), [5, 0])

    def test_a_failure_in_it_takes_all_of_it_back(self):
        done = self.play("""sql "primary":transaction(function(tx)
          tx:exec "UPDATE stock SET n = 100 WHERE id = 2"
          tx:exec "UPDATE stock SET n = -1 WHERE id = 1"
        end)""")
        self.expect(done, code=1, text=["23514", r"trial\.lua:\d"])
        self.assertEqual(self.stock(), [5, 0])

    def test_a_typo_in_it_is_the_authors_and_takes_all_of_it_back(self):
        done = self.play("""sql "primary":transaction(function(tx)
          tx:exec "UPDATE stock SET n = 100 WHERE id = 2"
          local none
          return none.field
        end)""")
        self.expect(done, code=1, text=[r"trial\.lua:6", "none"], absent=["bug"])
        self.assertEqual(self.stock(), [5, 0])
        done = self.play("""sql "primary":each("SELECT 1 AS one", {}, function(row) return row.one.two.three end)""")
        self.expect(done, code=1, text=[r"trial\.lua:3"], absent=["bug"])

    def test_other_changes_and_questions_do_not_belong_in_it(self):
        for call in ('notify "team" "hello"', 'sql "primary":exec "DELETE FROM stock"', 'shell.run { "bash", "-c", "true" }',
                     'confirm "Really?"'):
            done = self.play(f"""sql "primary":transaction(function(tx)
              tx:exec "UPDATE stock SET n = 100 WHERE id = 2"
              {call}
            end)""", "--yes")
            self.expect(done, code=1, text=["inside a transaction: only reads are allowed there"])
            self.assertEqual(self.stock(), [5, 0])

    def test_a_read_of_something_else_may_stand_in_it(self):
        done = self.play("""sql "primary":transaction(function(tx)
          local other = sql "primary":value "SELECT n FROM stock WHERE id = 1"
          tx:exec("UPDATE stock SET n = $1 WHERE id = 2", { other })
        end)""")
        self.expect(done, code=0)
        self.assertEqual(self.stock(), [5, 5])

    def test_the_first_signal_lets_it_finish(self):
        process = self.start("play", self.write("""sql "primary":transaction(function(tx)
          tx:exec "UPDATE stock SET n = 100 WHERE id = 2"
          tx:exec "SELECT pg_sleep(1)"
          tx:exec "UPDATE stock SET n = 101 WHERE id = 1"
        end)
        show "not reached" """), "-e", "lab")
        self.assertTrue(wait_until(lambda: self.lab.ask(
            "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()")))
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
        self.assertEqual((process.returncode, b"not reached" in out), (130, False))
        self.assertEqual(self.stock(), [101, 100])

    def test_killed_in_the_middle_nothing_of_it_stays(self):
        process = self.start("play", self.write("""sql "primary":transaction(function(tx)
          tx:exec "UPDATE stock SET n = 100 WHERE id = 2"
          tx:exec "SELECT pg_sleep(1)"
        end)"""), "-e", "lab")
        self.assertTrue(wait_until(lambda: self.lab.ask(
            "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()")))
        process.kill()
        process.communicate()
        self.assertTrue(wait_until(lambda: not self.lab.ask(
            "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'opsrun/%'")))
        self.assertEqual(self.stock(), [5, 0])


class Databases(Sql):

    def setUp(self):
        super().setUp()
        self.lab.ask("DROP DATABASE IF EXISTS scratch")
        self.addCleanup(self.lab.ask, "DROP DATABASE IF EXISTS scratch")

    def test_a_scratch_database_is_made_filled_and_dropped(self):
        done = self.play("""
          local db = sql "primary"
          db:exec(sql.format("CREATE DATABASE %I", "scratch"), {}, { autocommit = true })
          local scratch = db:database "scratch"
          scratch:exec "CREATE TABLE copied (id int)"
          scratch:exec("INSERT INTO copied SELECT g FROM generate_series(1, $1) AS g", { 7 })
          show("rows: " .. scratch:value "SELECT count(*) FROM copied" .. " in " .. tostring(scratch))
        """)
        self.expect(done, code=0, out=["rows: 7 in primary/scratch"])
        self.assertEqual(self.records("sql.exec")[-1]["target"], "primary/scratch")

    def test_pg_dump_gets_what_it_needs_and_the_password_is_nowhere(self):
        done = self.play("""
          local env = sql "primary":environment()
          show(env)
          local dump = shell.run({ "pg_dump", "--schema-only", "--table=stock" }, { env = env })
          show("dumped: " .. tostring(dump.stdout:find("CREATE TABLE public.stock", 1, true) ~= nil))
          local who = shell.run({ "psql", "-Atc", "SELECT current_database(), application_name FROM pg_stat_activity"
            .. " WHERE pid = pg_backend_pid()" }, { env = env })
          show("asked: " .. who.text)
        """, "-vv")
        self.expect(done, code=0, out=["dumped: true", r"asked: app\|opsrun/\S+/try-it", "PGPASSWORD"])
        password = self.lab.env["DATABASE_URL"].split(":")[2].split("@")[0]
        self.assertNotIn(password, done.text)
        for place, _, names in os.walk(self.home):
            for name in names:
                with open(os.path.join(place, name), encoding="utf-8", errors="replace") as file:
                    self.assertNotIn(password, file.read(), name)

    def test_identifiers_and_wrong_uses_of_format(self):
        done = self.play("""
          show(sql "primary":value(sql.format("SELECT count(*) FROM %I.%I WHERE n >= %L", "public", "stock", 0)))
          show(sql.format("%I", p))
        """)
        self.expect(done, code=1, out=[r"\b2\b"], text=[r"trial\.lua:5", "expected a name, got table"])


class Streams(Sql):

    def measured(self, what, body):
        """Plays it; returns what it printed. Prints time and peak memory, which is held against 40 MB."""
        path = self.write(body)
        environ = self.environ()
        began = time.monotonic()
        code, out, err, peak = with_peak([OPSRUN, "play", path, "-e", "lab"], env=environ, cwd=ROOT)
        print(f"{what} in {time.monotonic() - began:.2f} s, at most {peak / 1024:.1f} MB")
        self.assertEqual(code, 0, out + err)
        if "ASAN_OPTIONS" not in environ:      # the sanitizers' own memory is not the figure
            self.assertLessEqual(peak, 40 * 1024)
        return out

    def test_a_million_rows_are_handed_over_within_40_mb(self):
        out = self.measured("1,000,000 rows read", """local sum, last = 0, nil
          local count = sql "primary":each([[SELECT g AS id, 9007199254740992 + g AS big, 'order ' || g AS name,
            now() AS at FROM generate_series(1, 1000000) AS g]], {}, function(row)
            sum, last = sum + row.id, row
          end)
          show(count .. " rows, sum " .. sum .. ", last " .. last.big .. " " .. last.name)""")
        self.assertIn("1000000 rows, sum 500000500000, last 9007199255740992 order 1000000", out)

    def test_a_million_rows_are_copied_in_within_40_mb(self):
        self.lab.ask("TRUNCATE stock")
        out = self.measured("1,000,000 rows copied in", """local n = 0
          local done = sql "primary":copy_in("stock", function()
            n = n + 1
            return n <= 1000000 and { n, n % 7 } or nil
          end, { columns = { "id", "n" } })
          show(done.count .. " rows")""")
        self.assertIn("1000000 rows", out)
        self.assertEqual(self.lab.ask("SELECT count(*), sum(n) FROM stock")[0][0], "1000000")

    def test_a_copy_without_an_end_is_ended_by_the_deadline_and_leaves_nothing(self):
        done = self.play("""local n = 10
          sql "primary":copy_in("stock", function() n = n + 1; return { id = n } end)""", "--deadline", "1s")
        self.expect(done, code=124, text=["deadline"])
        self.assertLess(done.seconds, 5)
        self.assertEqual(self.stock(), [5, 0])
        self.assertTrue(wait_until(lambda: not self.lab.ask(
            "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'opsrun/%'")))

    def test_a_dry_run_copies_nothing(self):
        done = self.play("""sql "primary":copy_in("public.stock", { { id = 7, n = 1 }, { id = 8 } })""", "-n")
        self.expect(done, code=0, out=[r'COPY "public"."stock" \("id", "n"\) FROM STDIN', "2 rows"])
        self.assertEqual(self.stock(), [5, 0])

    def test_a_stream_that_is_left_leaves_no_session_at_work(self):
        done = self.play("""local n = 0
          sql "primary":each("SELECT a, b FROM generate_series(1, 10000) AS a, generate_series(1, 10000) AS b", {}, function() n = n + 1; return n < 5 end)
          show("seen " .. n .. ", " .. sql "primary":value(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series%' AND pid <> pg_backend_pid()"))""")
        self.expect(done, code=0, out=["seen 5, "])
        self.assertLess(done.seconds, 10)


if __name__ == "__main__":
    main()
