"""play --rehearse: SQL changes are made in a transaction that is rolled back; what is read afterwards sees them,
and the server is as it was."""

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest, main, wait_until  # noqa: E402
from rehearse_statements import MADE, REFUSED, SETUP  # noqa: E402
import pq  # noqa: E402

PQnotifies = pq._declare("PQnotifies", ctypes.c_void_p, ctypes.c_void_p)

ENVIRONMENT = """return { label = "trial", timezone = "Etc/UTC", %s
  sql = { primary = { url = secret.env "DATABASE_URL" }, again = { url = secret.env "DATABASE_URL" } },
  redis = { cache = { url = secret.env "REDIS_URL" } } }"""


class Rehearse(LabTest):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.room = tempfile.mkdtemp(prefix="opsrun-rehearse-")
        self.addCleanup(shutil.rmtree, self.room, ignore_errors=True)
        os.makedirs(os.path.join(self.room, "environments"))
        for name, more in (("trial", ""), ("guarded", "protected = true,")):
            self.write(f"environments/{name}.lua", ENVIRONMENT % more)
        database = f"rehearsed{len(self.databases)}"
        self.databases.append(database)
        self.lab.ask(f"CREATE DATABASE {database}")
        self.url = f"{self.lab.env['DATABASE_URL'].rsplit('/', 1)[0]}/{database}?sslmode=disable"
        self.session = pq.Session(self.url)
        self.addCleanup(self.session.close)
        for text in SETUP:
            self.session.query(text)
        self.listener, self.told = pq.Session(self.url), 0
        self.addCleanup(self.listener.close)
        self.listener.query("LISTEN ops")

    databases = []

    def ask(self, text, *values):
        return self.session.query(text, *values)

    def write(self, name, text):
        path = os.path.join(self.room, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def play(self, steps, *words, environment="trial", **options):
        """Steps: (name, body) each, or one body."""
        steps = [("Try it", steps)] if isinstance(steps, str) else steps
        text = 'playbook { title = "Rehearsed", uses = { shell = { "true" } } }\nlocal db = sql "primary"\n'
        text += "".join(f'step("{name}", function(p)\n{body}\nend)\n' for name, body in steps)
        return self.opsrun("play", self.write("rehearsed.lua", text), "--config", self.room, "-e", environment, "--rehearse", *words,
                           env={"DATABASE_URL": self.url}, **options)

    def fingerprint(self):
        """Everything of the server that a rehearsal could leave: what is in the database, sequences, settings, roles,
        large objects, slots, locks, sessions, what a listener was told."""
        wait_until(lambda: self.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'opsrun%'"
                                    " OR application_name = 'pg_dump'")[0][0] == "0")
        clients = "a.pid <> pg_backend_pid() AND a.datname = current_database() AND a.backend_type = 'client backend'"
        looks = {
            "sequences": "SELECT s.oid::regclass, pg_sequence_last_value(s.oid) FROM pg_class s WHERE relkind = 'S'",
            "settings": "SELECT name, setting FROM pg_settings",
            "roles": "SELECT * FROM pg_authid ORDER BY oid",
            "large objects": "SELECT oid FROM pg_largeobject_metadata",
            "slots": "SELECT slot_name FROM pg_replication_slots",
            "databases": "SELECT datname, datacl FROM pg_database ORDER BY oid",
            "locks": f"SELECT l.locktype, l.mode FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE {clients}",      # not autovacuum's
            "sessions": f"SELECT count(*) FROM pg_stat_activity a WHERE {clients}",
            "prepared": "SELECT gid FROM pg_prepared_xacts",
            "files": "SELECT relname, pg_relation_filepath(oid) FROM pg_class WHERE relkind IN ('r', 'i', 'S') ORDER BY oid",
        }
        self.listener.drain()
        while PQnotifies(self.listener.handle):
            self.told += 1
        found = {"told": self.told} | {name: self.ask(text) for name, text in looks.items()}
        dump = subprocess.run(["pg_dump", "--inserts", self.url.replace("?sslmode=disable", "")], check=True, stdout=subprocess.PIPE, text=True).stdout
        found["dump"] = [line for line in dump.splitlines() if "restrict" not in line]
        return found

    def expect_untouched(self, before):
        self.assertEqual(before, self.fingerprint())

    def newest(self):
        runs = os.path.join(self.home, "runs")
        return self.journal(max(self.run_ids(), key=lambda name: os.stat(os.path.join(runs, name)).st_mtime_ns))

    def states(self):
        return [r["state"] for r in self.newest() if r["type"] == "step.end"]


class Leaves(Rehearse):
    """What is rehearsed leaves nothing, and what would is not rehearsed."""

    def rehearse(self, statement):
        """Plays one, and says whether it was rehearsed."""
        done = self.play(f"local r = db:exec({json.dumps(statement)}) note('count %s', r.count)")
        return done, [r.get("rehearsed", False) for r in self.newest() if r["type"] == "effect.planned"]

    def test_what_can_be_rolled_back_is_rehearsed_and_leaves_nothing(self):
        before = self.fingerprint()
        for statement in MADE:
            done, planned = self.rehearse(statement)
            self.assertEqual(planned, [True], f"{statement}\n{done}")
        self.expect_untouched(before)
        print(f"{len(MADE)} statements rehearsed, 0 differences")
        self.assertGreaterEqual(len(MADE), 60)

    def test_what_would_leave_something_is_shown_with_the_reason(self):
        before = self.fingerprint()
        for statement, reason in REFUSED:
            done, planned = self.rehearse(statement)
            self.assertEqual(planned, [False], f"{statement}\n{done}")
            self.assertRegex(done.out, "planned, not rehearsed: .*" + reason, f"{statement}\n{done}")
        self.expect_untouched(before)
        print(f"{len(REFUSED)} statements not rehearsed, 0 differences")
        self.assertGreaterEqual(len(REFUSED), 60)

    def test_with_an_event_trigger_no_definition_is_rehearsed(self):
        self.ask("CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION evil_event()")
        before = self.fingerprint()
        done, planned = self.rehearse("ALTER TABLE stock ADD COLUMN more int")
        self.expect(done, code=0, out=["not rehearsed: event trigger 'watch' runs at every definition"])
        self.assertEqual(planned, [False])
        self.expect_untouched(before)

    def test_what_commits_by_itself_and_rows_that_are_copied_are_shown(self):
        before = self.fingerprint()
        done = self.play("""db:exec("VACUUM stock", {}, { autocommit = true })
          db:copy_in("stock", { { id = 900, n = 1 } })""")
        self.expect(done, code=0, out=["not rehearsed: it commits by itself", "not rehearsed: rows that are copied are only shown"])
        self.expect_untouched(before)

    def test_a_killed_rehearsal_leaves_nothing(self):
        before = self.fingerprint()
        path = self.write("killed.lua", """playbook { title = "Killed" }
          step("Change and hang", function()
            sql "primary":exec "UPDATE stock SET n = 0"
            sql "primary":exec "ALTER TABLE owned ADD COLUMN more int"
            while true do end
          end)""")
        process = self.start("play", path, "--config", self.room, "-e", "trial", "--rehearse", env={"DATABASE_URL": self.url})
        wait_until(lambda: self.ask("SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'owned'::regclass"
                                    " AND granted")[0][0] != "0")
        process.kill()
        process.communicate()
        self.expect_untouched(before)


CHANGE = 'local r = db:exec "UPDATE stock SET n = n + 1 WHERE id > 10" note("changed %d rows", r.count)'
LOOK = 'check("sum", db:value "SELECT sum(n)::int FROM stock", { expect = 220 })'


class Truth(Rehearse):
    """What a rehearsal says of the world."""

    def test_counts_are_real_and_later_reads_see_what_was_made(self):
        before = self.fingerprint()
        done = self.play([("Before", 'check("rows", db:value "SELECT count(*) FROM stock", { expect = 20 })'), ("Change", CHANGE), ("After", LOOK)])
        self.expect(done, code=0, out=["REHEARSED exec primary", "changed 10 rows", "OK +sum 220.*rehearsed",
                                       "3 steps: 1 read for real, 2 rehearsed, 0 planned, 0 undetermined", "REHEARSAL DONE, nothing was changed"],
                    absent=["UNDETERMINED", "WOULD"])
        self.assertEqual(self.states(), ["done", "rehearsed", "rehearsed"])
        self.expect_untouched(before)

    def test_what_is_not_rehearsed_makes_the_rest_undetermined(self):
        done = self.play([("Change", CHANGE), ("Other", 'redis "cache":set("rehearsed", "1")'), ("After", LOOK)])
        self.expect(done, code=0, out=["REHEARSED exec", "WOULD call cache: SET", "UNDETERMINED  sum"])
        self.assertEqual(self.states(), ["rehearsed", "planned", "undetermined"])

    def test_nothing_is_held_across_a_question_or_a_wait(self):
        for wait in ('confirm "Really?"', 'ask { "Which?", default = "a" }', 'manual { "Do it" }', 'sleep "1s"', 'pause_until(now() + "1h")',
                     'wait_until("never", { every = "1s", within = "2s" }, function() return false end)',
                     'hold("1s", { every = "1s" }, function() return true end)'):
            done = self.play([("Change", CHANGE), ("Wait", wait), ("After", LOOK)])
            self.expect(done, code=0, out=["what was rehearsed so far is gone", "UNDETERMINED  sum 210"])
            self.assertEqual(self.states()[2], "undetermined", wait)

    def test_where_nothing_waits_nothing_is_given_up(self):
        done = self.play([("Ask", 'confirm "Really?"'), ("Change", CHANGE), ("Wait", """
          wait_until("so", { every = "1s", within = "2s" }, function() return db:value "SELECT sum(n)::int = 220 FROM stock" end)"""), ("After", LOOK)])
        self.expect(done, code=0, out=["OK +sum 220"], absent=["gone", "UNDETERMINED"])
        self.assertEqual(self.states()[1:], ["rehearsed"] * 3)

    def test_after_a_question_changes_are_rehearsed_anew_and_said_to_be_undetermined(self):
        done = self.play([("Change", CHANGE), ("Ask", 'confirm "Really?"'), ("Again", CHANGE)])
        self.expect(done, code=0, out=["changed 10 rows.*(?s:.)*changed 10 rows"])
        self.assertEqual(self.states(), ["rehearsed", "done", "undetermined"])

    def test_a_read_elsewhere_does_not_see_it_and_says_so(self):
        for other in ('sql "again":query "SELECT 1"', 'redis "cache":get "x"', 'shell.read { "true" }'):
            done = self.play([("Change", CHANGE), ("Elsewhere", other), ("After", LOOK)])
            self.expect(done, code=0, out=["does not see what was rehearsed: from here on checks are undetermined", "UNDETERMINED  sum 220"])

    def test_the_runs_own_things_are_read_without_doubt(self):
        done = self.play([("Change", CHANGE), ("Own", 'now() time.left() state():get "x"'), ("After", LOOK)])
        self.expect(done, code=0, out=["OK +sum 220"], absent=["UNDETERMINED"])

    def test_in_a_protected_environment_it_is_refused_before_anything(self):
        done = self.play(CHANGE, environment="guarded")
        self.expect(done, code=5, err=["--rehearse: 'guarded' is protected", "-n reads for real"])
        self.assertEqual(self.run_ids(), [])

    def test_what_the_server_refuses_fails_as_it_would(self):
        before = self.fingerprint()
        done = self.play([("Change", CHANGE), ("Break", 'db:exec "UPDATE stock SET n = -1 WHERE id = 1"')])
        self.expect(done, code=1, out=["23514", "stock_n_check", r"rehearsed\.lua:\d+"])
        done = self.play([("Break", 'try(function() return db:exec "UPDATE stock SET n = -1" end)'), ("Change", CHANGE), ("After", LOOK)])
        self.expect(done, code=0, out=["OK +sum 220"])
        self.expect_untouched(before)

    def test_what_a_commit_would_refuse_is_refused(self):
        done = self.play('db:exec "INSERT INTO late VALUES (1, 99)"')
        self.expect(done, code=1, out=["23503", "late_owner_fkey"])
        done = self.play("""db:transaction(function(tx)
          tx:exec "INSERT INTO late VALUES (1, 99)"
          tx:exec "INSERT INTO owner VALUES (99)"
        end)""")
        self.expect(done, code=0, out=["REHEARSED transaction"])
        done = self.play("""db:transaction(function(tx) tx:exec "INSERT INTO late VALUES (1, 98)" end)""")
        self.expect(done, code=1, out=["23503"])

    def test_a_transaction_is_rehearsed_as_one_change(self):
        before = self.fingerprint()
        done = self.play([("Move", """
          local done = db:transaction(function(tx)
            local n = tx:value "SELECT n FROM stock WHERE id = 20"
            tx:exec("UPDATE stock SET n = n - $1 WHERE id = 20", { n })
            tx:exec("UPDATE stock SET n = n + $1 WHERE id = 1", { n })
            check("within", tx:value "SELECT n FROM stock WHERE id = 1", { expect = 21 })
            return "moved"
          end)
          note("%s in %d rows", done.value, done.count)"""), ("After", 'check("first", db:value "SELECT n FROM stock WHERE id = 1", { expect = 21 })')])
        self.expect(done, code=0, out=["moved in 2 rows", "OK +within 21", "OK +first 21.*rehearsed"])
        done = self.play([("Fail", """attempt(function() db:transaction(function(tx) tx:exec "DELETE FROM stock" fail "no" end) end)"""),
                          ("After", 'check("rows", db:value "SELECT count(*) FROM stock", { expect = 20 })')])
        self.expect(done, code=0, out=["OK +rows 20"])
        self.expect_untouched(before)

    def test_a_transaction_with_something_in_it_that_is_not_rehearsed_is_shown(self):
        before = self.fingerprint()
        done = self.play([("Move", """db:transaction(function(tx)
            tx:exec "DELETE FROM stock"
            tx:exec "INSERT INTO numbered (note) VALUES ('x')"
            tx:exec "DELETE FROM owner"
          end)"""), ("After", 'check("rows", db:value "SELECT count(*) FROM stock", { expect = 20 })')])
        self.expect(done, code=0, out=["WOULD transaction", r"DELETE FROM stock \(20 rows\)", "not rehearsed from here on: .*nextval",
                                       "UNDETERMINED  rows 20"])
        self.expect_untouched(before)

    def test_a_lock_of_somebody_else_is_waited_for_two_seconds(self):
        holder = pq.Session(self.url)
        self.addCleanup(holder.close)
        holder.query("BEGIN")
        holder.query("UPDATE stock SET n = 5 WHERE id = 15")
        done = self.play([("Change", CHANGE), ("After", LOOK)])
        self.expect(done, code=0, out=["not rehearsed: a lock it needs was not to be had within 2 s", "UNDETERMINED"])
        self.assertLess(done.seconds, 8)

    def test_the_server_itself_ends_a_rehearsal_that_stands_idle(self):
        done = self.play([("Change", CHANGE), ("Long", 'shell.read { "sleep", "12" }'), ("After", 'note("there are %d", db:value "SELECT sum(n)::int FROM stock")')])
        self.expect(done, code=0, out=["there are 210"])

    def test_branches_share_it_and_rows_can_be_walked(self):
        before = self.fingerprint()
        done = self.play([("Together", """
          each({ 1, 2, 3, 4, 5, 6 }, function(i)
            db:exec("UPDATE stock SET n = 0 WHERE id = $1", { i })
            return db:value("SELECT n FROM stock WHERE id = $1", { i })
          end)
          local count = db:each("SELECT id FROM stock WHERE n = 0", {}, function(row) db:value("SELECT $1::int", { row.id }) end)
          check("zeros", count, { expect = 6 })""")])
        self.expect(done, code=0, out=["OK +zeros 6"])
        self.expect_untouched(before)

    def test_what_was_made_in_it_can_be_used_in_it(self):
        before = self.fingerprint()
        done = self.play([("Make", """
          db:exec "CREATE TABLE made (id int PRIMARY KEY, n int)"
          db:exec "INSERT INTO made SELECT i, i FROM generate_series(1, 5) i"
          db:exec "CREATE VIEW above AS SELECT * FROM made WHERE n > 2" """), ("Look", 'check("rows", db:value "SELECT count(*) FROM above", { expect = 3 })')])
        self.expect(done, code=0, out=["OK +rows 3"])
        self.expect_untouched(before)

    def test_a_trigger_that_was_made_meanwhile_is_seen(self):
        done = self.play([("Change", 'db:exec "ALTER TABLE asleep ADD COLUMN n int" db:exec "UPDATE watched SET n = 5"')])
        self.expect(done, code=0, out=["not rehearsed: trigger 't' of 'watched'"])

    def test_a_function_the_environment_vouches_for_may_run(self):
        self.write("environments/trial.lua", ENVIRONMENT.replace('secret.env "DATABASE_URL" }, again',
                   'secret.env "DATABASE_URL", trusted_functions = { "calm" } }, again') % "")
        self.ask("CREATE FUNCTION calm() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.n = 1; RETURN NEW; END $$")
        self.ask("CREATE TABLE vouched (id int, n int)")
        self.ask("CREATE TRIGGER t BEFORE INSERT ON vouched FOR EACH ROW EXECUTE FUNCTION calm()")
        done = self.play([("Change", 'db:exec "INSERT INTO vouched VALUES (1, 5)"'), ("Look", 'check("n", db:value "SELECT n FROM vouched", { expect = 1 })')])
        self.expect(done, code=0, out=["REHEARSED", "OK +n 1"])

    def test_tables_of_everyday_are_no_obstacle(self):
        for text in ("CREATE EXTENSION citext", "CREATE EXTENSION pg_trgm", "CREATE EXTENSION hstore", "CREATE TYPE mood AS ENUM ('calm', 'loud')",
                     "CREATE DOMAIN mail AS text CHECK (VALUE LIKE '%@%')",
                     "CREATE TABLE people (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name citext UNIQUE, mood mood DEFAULT 'calm', mail mail,"
                     " more jsonb DEFAULT '{}', pairs hstore, tags text[], price numeric(8, 2), at timestamptz DEFAULT CURRENT_TIMESTAMP)",
                     "CREATE INDEX ON people USING gin (name gin_trgm_ops)", "CREATE INDEX ON people USING gin (more)",
                     "CREATE INDEX ON people (lower(mail::text)) WHERE mood = 'calm'"):
            self.ask(text)
        done = self.play([("Change", """
          db:exec("INSERT INTO people (name, mail) VALUES ('Ana', $1)", { "ana@example.com" })
          db:exec "UPDATE people SET mood = 'loud', more = more || '{\\"a\\": 1}' WHERE name = 'ANA'"
          check("loud", db:value "SELECT count(*) FROM people WHERE mood = 'loud'", { expect = 1 })""")])
        self.expect(done, code=0, out=["OK +loud 1"], absent=["not rehearsed"])

    def test_a_plain_role_rehearses_what_it_may_change_and_is_told_what_it_may_not(self):
        self.ask("CREATE ROLE clerk LOGIN PASSWORD 'clerk'")
        self.addCleanup(self.lab.ask, "DROP ROLE clerk")
        self.ask("CREATE TABLE guarded (id int, who name DEFAULT current_user)")
        self.ask("ALTER TABLE guarded ENABLE ROW LEVEL SECURITY")
        self.ask("CREATE POLICY p ON guarded USING (true) WITH CHECK (evil_check(id))")
        self.ask("GRANT ALL ON stock, guarded TO clerk")
        self.addCleanup(self.ask, "DROP OWNED BY clerk")
        owner, self.url = self.url, re.sub("//[^@]*@", "//clerk:clerk@", self.url)
        done = self.play([("Change", CHANGE), ("After", LOOK)])
        self.expect(done, code=0, out=["changed 10 rows", "OK +sum 220"])
        done = self.play('db:exec "INSERT INTO guarded VALUES (1)"')
        self.expect(done, code=0, out=["not rehearsed: function 'public.evil_check'"])
        done = self.play('db:exec "DELETE FROM owner"')
        self.expect(done, code=1, out=["42501", "permission denied"])
        self.url = owner

    def test_ensure_sees_what_it_made(self):
        done = self.play("""ensure("column 'more' is there", {
          is = function() return db:value "SELECT count(*) > 0 FROM information_schema.columns WHERE column_name = 'more'" end,
          make = function() db:exec "ALTER TABLE stock ADD COLUMN more int" end,
          back = function() db:exec "ALTER TABLE stock DROP COLUMN more" end, lasts = "run" })""")
        self.expect(done, code=0, out=["REHEARSED exec primary: ALTER TABLE stock ADD", "REHEARSED exec primary: ALTER TABLE stock DROP"])

    def test_machines_are_told(self):
        done = self.play([("Change", CHANGE), ("After", LOOK)], "--json")
        events = [json.loads(line) for line in done.out.splitlines()]
        told = {e["event"]: e for e in events}
        self.assertTrue(told["run.start"]["rehearse"] and told["planned"]["rehearsed"] and told["check"]["rehearsed"])
        self.assertEqual((told["run.end"]["checks"][0]["rehearsed"], len(told["run.end"]["rehearsed"])), (True, 1))


if __name__ == "__main__":
    main()
