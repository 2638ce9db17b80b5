"""Playbook restore-database after every order was deleted: dry, refused, whole, taken back, damaged, killed in between."""

import hashlib
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import AuthorTest  # noqa: E402
from harness import ROOT, main  # noqa: E402
from killing import play_and_kill  # noqa: E402
import pq  # noqa: E402

PLAYBOOK = "recovery/restore-database.lua"
QUICK = ("-p", "tables=audit_logs,orders", "-p", "settle=10ms", "-p", "well=20s")
TYPED = ("--answer", "agree=app", "--answer", "spot-check=done")
SWAP = ("--answer", "put-in-place=app")
ALL = (*TYPED, *SWAP)
ORDERS, NEWER = 5000, 120


class RestoreDatabase(AuthorTest):
    """One lab for all; every test finds the orders gone, and a dump that has them."""

    def setUp(self):
        super().setUp()
        self.lab.break_it("data-lost", settle=0)
        self.addCleanup(self.lab.mend)
        self.dump = os.path.join(self.lab.env["LAB_DUMPS"], "app.dump")

    def server(self, text):
        """Asked on the server's other database."""
        session = pq.Session(self.lab.env["DATABASE_URL"].replace("/app", "/postgres") + "?sslmode=disable")
        try:
            return session.query(text)
        finally:
            session.close()

    def databases(self):
        """{name without its time: does it take connections}"""
        rows = self.server("SELECT datname, datallowconn FROM pg_database WHERE datname LIKE 'app%'")
        return {re.sub(r"_\d{8}_\d{6}$", "", name): is_open == "t" for name, is_open in rows}

    def orders(self):
        return int(self.lab.ask("SELECT count(*) FROM orders")[0][0])

    def flag(self):
        return os.path.exists(self.lab.env["LAB_FLAG"])

    def env_without(self, *pairs):
        """The lab's environment, in which no service is stopped."""
        with open(os.path.join(ROOT, "environments", "lab.lua"), encoding="utf-8") as file:
            text = file.read()
        for old, new in (('flag = env "LAB_FLAG", services = { "app" },', 'flag = env "LAB_FLAG",'), *pairs):
            self.assertIn(old, text)
            text = text.replace(old, new)
        return self.environment(text)

    def words(self, *words):
        return ("play", PLAYBOOK, *self.env_without(), *QUICK, *words)

    def expect_old(self, done, aside=False):
        """The database is the one it was, open, and nothing is switched on; a restored one that had its name is kept, closed."""
        self.assertEqual(self.databases(), {"app": True, "app_undone": False} if aside else {"app": True}, done)
        self.assertEqual((self.orders(), self.flag()), (0, False), done)

    def expect_restored(self, done):
        self.assertEqual(self.databases(), {"app": True, "app_old": False}, done)
        self.assertEqual((self.orders(), self.flag()), (ORDERS, False), done)

    def test_a_dry_run_changes_nothing_and_shows_each_change(self):
        done = self.opsrun("play", PLAYBOOK, "-e", "lab", "-n", *QUICK)
        print(f"dry run: {done.seconds:.2f} s")
        self.expect(done, code=0, out=[rf"public.audit_logs +{NEWER} ", f"WOULD ASK Restore app .*{NEWER} rows", "WOULD stop app", "WOULD create database",
                                       "WOULD restore app.dump", "WOULD close database app", "WOULD ASK Put app_restore_.*Sessions that end",
                                       r'ALTER DATABASE "app" RENAME TO "app_old', "WOULD start app"])
        self.expect_old(done)

    def test_refused_at_either_gate_the_database_is_the_one_it_was(self):
        done = self.opsrun(*self.words("--yes"))
        self.expect(done, code=5, text=["--answer agree=app"])
        self.expect_old(done)
        self.expect(self.opsrun(*self.words("--answer", "agree=yes")), code=5)
        done = self.opsrun(*self.words("--yes", *TYPED, "--undo-on-failure"))
        self.expect(done, text=["--answer put-in-place=app"], absent=["changed +close database"])
        self.expect_old(done)
        terminal = self.terminal(*self.words())
        terminal.wait_for("Restore app from")
        terminal.wait_for("type app to go on")
        terminal.send("yes\n")
        self.expect(terminal.finish(), code=5)
        self.expect_old(terminal.seen)

    def test_live_the_orders_are_back_the_old_one_is_kept_closed_and_undo_puts_it_back(self):
        self.lab.ask("ALTER DATABASE app SET work_mem = '5MB'")
        self.lab.ask("ALTER DATABASE app SET search_path = public, pg_catalog")
        self.lab.ask("GRANT CREATE ON DATABASE app TO app_api")
        self.lab.ask("GRANT SELECT ON orders TO app_reports")
        client = self.lab.session(application_name="api")
        self.addCleanup(client.close)
        done = self.opsrun("play", PLAYBOOK, "-e", "lab", *QUICK, "--yes", *ALL, "-p", f"present={self.room}", "-p", "flows=/api/health")
        print(f"live: {done.seconds:.2f} s")
        self.expect(done, code=0, out=[r"public.orders +0 +5000", "OK +tables restored", "api is well", "OK +/api/health 200", "OK +recovery time",
                                       "told +team how it ended"])
        self.order(done, "changed +stop app", "changed +restore", "changed +close database app", "changed +put app_restore_", "changed +start app")
        self.expect_restored(done)
        with self.assertRaises(pq.Error):
            client.query("SELECT 1")
        self.assertEqual(self.lab.ask("SELECT current_setting('work_mem'), current_setting('search_path')"), [["5MB", "public, pg_catalog"]])
        self.assertEqual(self.server("SELECT has_database_privilege('app_api', 'app', 'CREATE')"), [["t"]])
        present = [name for name in os.listdir(self.room) if name.endswith(".dump")]
        with open(os.path.join(self.room, present[0]), "rb") as file, open(os.path.join(self.room, present[0] + ".sha256"), encoding="ascii") as sums:
            self.assertEqual(sums.read().split()[0], hashlib.sha256(file.read()).hexdigest())
        self.lab.ask("INSERT INTO orders (user_id, status, total) VALUES (1, 'new', 3)")
        done = self.opsrun("undo", self.run_ids()[-1], "--yes")
        self.expect(done, out=["put the old app back, and keep the restored one as app_undone_"])
        self.expect_old(done, aside=True)
        self.assertEqual(self.lab.ask("SELECT count(*) FROM audit_logs"), [["1120"]], "what came after the dump is there again")

    def test_an_application_that_is_not_well_with_it_gets_the_old_one_back(self):
        play = ("play", PLAYBOOK, *self.env_without(), *QUICK[:4], "-p", "well=1s", "-p", "health=/no/such/page", "--yes", *ALL, "--undo-on-failure")
        done = self.opsrun(*play)
        self.expect(done, code=8, out=["changed +put app_restore_", "changed +put the old app back"], text=["step 'See that all is well'"])
        self.expect_old(done, aside=True)

    def test_a_damaged_dump_is_named_and_touches_nothing(self):
        with open(self.dump, "rb+") as file:
            file.seek(100000)
            file.write(b"\x5a" * 64)
        done = self.opsrun(*self.words("--yes", *ALL))
        self.expect(done, code=1, text=["step 'Look into it'.*the backup is damaged"], absent=["create database"])
        self.expect_old(done)
        os.unlink(self.dump + ".sha256")
        done = self.opsrun(*self.words("--yes", *ALL, "--undo-on-failure"))
        self.expect(done, code=8, text=["step 'Restore it beside'"], absent=["close database app"])
        self.expect_old(done)

    def test_the_backup_of_another_database_is_not_restored(self):
        url = self.lab.env["DATABASE_URL"].replace("/app", "/postgres")
        done = self.opsrun(*self.words("--yes", "--answer", "agree=postgres", "-p", "maintenance=app", "-p", "tables="), env={"DATABASE_URL": url})
        self.expect(done, code=1, text=["this is the backup of another database"])
        self.expect_old(done)

    def test_a_database_that_is_gone_is_made_anew(self):
        self.server("DROP DATABASE app WITH (FORCE)")
        done = self.opsrun(*self.words("--yes", *ALL))
        self.expect(done, code=0, out=["app is not there any more: it is made anew", "api is well"])
        self.assertEqual((self.databases(), self.orders()), ({"app": True}, ORDERS))

    def test_one_that_cannot_be_read_any_more_is_restored_all_the_same(self):
        self.server("ALTER DATABASE app ALLOW_CONNECTIONS false")
        done = self.opsrun(*self.words("--yes", *ALL))
        self.expect(done, code=0, out=["what is newer cannot be seen: .*app", "nobody knows how much", "they cannot be compared: ", "api is well"])
        self.expect_restored(done)

    def test_a_dead_server_fails_the_first_look_at_it(self):
        done = self.opsrun(*self.words("--yes", *ALL), env={"DATABASE_URL": "postgres://ops:nobody@127.0.0.1:1/app"})
        self.expect(done, code=1, text=["step 'Look at the database'.*cannot connect to 'primary/postgres'"], absent=["changed +[a-z]+ "])

    def test_the_old_one_is_dropped_behind_a_gate_of_its_own(self):
        done = self.opsrun(*self.words("--yes", *ALL, "-p", "drop_after=1ms", "--suspend-at-gates"))
        self.expect(done, code=6, out=["opsrun answer .* drop=app_old_"])
        self.expect_restored(done)
        kept = self.server("SELECT datname FROM pg_database WHERE datname LIKE 'app_old%'")[0][0]
        done = self.opsrun("resume", self.run_ids()[-1], "--yes", "--stale-ok", "--answer", f"drop={kept}")
        self.expect(done, code=0, out=[f"changed +drop database {kept}"])
        self.assertEqual((self.databases(), self.orders()), ({"app": True}, ORDERS))

    def test_the_providers_own_ways_are_a_persons_with_the_exact_words(self):
        for source, first, words in (("snapshot", (), "Supabase Dashboard → Database → Backups"),
                                     ("pitr", ("on the Pro plan, with PITR on",), "contact support@supabase.com: .*2026-11-21 03:00:00 \\+0000")):
            play = self.words("--answer", "agree=app", "-p", f"source={source}", "-p", "target=2026-11-21 03:00")
            terminal = self.terminal(*play)
            for item in first:      # who cannot say yes to it need not ask support
                terminal.wait_for(item)
                terminal.wait_for("yes or no")
                terminal.send("yes\n")
            terminal.wait_for(words)
            terminal.wait_for("yes or no")
            terminal.send("\x03")
            self.expect(terminal.finish(), code=130)
            self.assertFalse(self.flag())
            self.expect(self.opsrun(*play), code=5, text=["--answer restored=done"])
            self.expect(self.opsrun(*play, "--answer", "restored=done:case 4711"), code=0, out=["api is well"])
        self.expect(self.opsrun(*self.words("-p", "source=pitr")), code=1, text=["to which moment\\? -p target="])

    def kill(self, number, happened, *words):
        run, killed = play_and_kill(self, self.words("--yes", *ALL), number, happened)
        self.assertTrue(killed)
        return run

    def is_filled(self):
        """Has a restored twin its tables? Asked only when nobody is in it."""
        rows = self.server("SELECT datname FROM pg_database WHERE datname LIKE 'app_restore%' AND NOT EXISTS"
                           " (SELECT 1 FROM pg_stat_activity AS a WHERE a.datname = pg_database.datname)")
        if not rows:
            return False
        session = pq.Session(self.lab.env["DATABASE_URL"].replace("/app", f"/{rows[0][0]}") + "?sslmode=disable")
        try:
            return session.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")[0][0] != "0"
        finally:
            session.close()

    def is_exchanged(self):
        return "app_old" in self.databases()

    # the changes of such a run: 1 flag, 2 create, 3 restore, 4 ANALYZE, 5 close, 6 end sessions, 7 exchange, 8 flag

    def test_killed_in_the_restore_it_goes_on_and_what_is_half_done_is_done_again(self):
        for happened in (None, self.is_filled):
            if happened:
                self.lab.break_it("data-lost", settle=0)      # mends what the one before left
            run = self.kill(3, happened)
            self.assertEqual(self.databases(), {"app": True, "app_restore": True})
            done = self.opsrun("resume", run, "--yes", *ALL, "--stale-ok")
            self.expect(done, code=0)
            self.expect_restored(done)

    def test_killed_around_the_exchange_it_goes_on_or_is_taken_back(self):
        for number, happened, way in ((6, None, "undo"), (7, None, "resume"), (7, self.is_exchanged, "undo"), (7, self.is_exchanged, "resume")):
            self.lab.break_it("data-lost", settle=0)
            run = self.kill(number, happened)
            done = self.opsrun(way, run, "--yes", *(() if way == "undo" else (*ALL, "--stale-ok")))
            self.expect(done, code=0)
            if way == "undo":
                self.expect_old(done, aside=happened is not None)
            else:
                self.expect_restored(done)


if __name__ == "__main__":
    main()
