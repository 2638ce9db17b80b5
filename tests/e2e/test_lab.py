"""The lab itself: what its scenario promises, and that nothing of it stays."""

import glob
import json
import os
import sys
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import CLIENTS, ROOT, Lab, alive, descendants, main, pq, start_time  # noqa: E402


class LabKeepsItsPromises(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.down)
        cls.lab.up()

    def get(self, path, token=None, url=None, context=None, data=None):
        request = urllib.request.Request((url or self.lab.env["APP_URL"]) + path, data=data)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, context=context, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def test_scenario_uses_91_to_94_of_100_connections(self):
        text = self.lab.break_it("db-exhaustion")
        used, idle = self.lab.usage(), len(self.lab.sessions("idle"))
        silent = len(self.lab.sessions("idle in transaction"))
        busy = len(self.lab.sessions("active"))
        print(f"used {used}, idle {idle}, idle in transaction {silent}, active {busy}")
        self.assertIn(f"{used} of 100 connections are used", text)
        self.assertEqual(self.lab.ask("SHOW max_connections")[0][0], "100")
        self.assertTrue(91 <= used <= 94, used)
        self.assertGreaterEqual(idle, 40)
        self.assertGreater(silent, 0)
        self.assertGreater(busy, 0)
        names = self.lab.ask("SELECT DISTINCT application_name, usename FROM pg_stat_activity WHERE"
                             " application_name NOT LIKE 'lab-%' AND backend_type = 'client backend'")
        self.assertEqual({n for n, _ in names}, set(CLIENTS))
        self.assertEqual(len({u for _, u in names}), 3)

    def test_a_chain_of_two_waits_for_a_session_that_forgot_to_commit(self):
        self.lab.break_it("db-exhaustion", settle=0)
        rows = self.lab.ask("SELECT w.pid, h.pid, h.state FROM pg_stat_activity w CROSS JOIN LATERAL"
                            " unnest(pg_blocking_pids(w.pid)) b (pid) JOIN pg_stat_activity h"
                            " ON h.pid = b.pid ORDER BY h.state DESC")
        self.assertEqual([state for _, _, state in rows], ["idle in transaction", "active"])
        self.assertEqual(rows[1][1], rows[0][0])

    def test_nobody_reconnects_by_himself(self):
        self.lab.break_it("db-exhaustion", settle=0)
        before = self.lab.usage()
        ended = self.lab.ask("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                             " WHERE application_name = 'api' AND state = 'idle'")
        time.sleep(0.5)
        self.assertEqual(self.lab.usage(), before - len(ended))

    def test_the_labs_own_sessions_are_on_the_keep_list(self):
        with open(os.path.join(ROOT, "environments", "lab.lua"), encoding="utf-8") as file:
            self.assertIn('"lab-keeper"', file.read())

    def test_mend_puts_all_right(self):
        self.lab.break_it("db-exhaustion", settle=0)
        self.assertIn("mended: db-exhaustion", self.lab.mend())
        self.assertEqual(self.lab.sessions(), set())

    def test_docker_restart_is_recorded_and_restarts_the_api(self):
        self.lab.break_it("db-exhaustion", settle=0)
        before = self.lab.usage()
        docker = os.path.join(self.lab.directory, "bin", "docker")
        self.assertEqual(os.spawnv(os.P_WAIT, docker, ["docker", "restart", "api-container"]), 0)
        self.assertLess(self.lab.usage(), before - 40)
        with open(os.path.join(self.lab.directory, "docker.log"), encoding="utf-8") as file:
            self.assertEqual(json.loads(file.readlines()[-1])["argv"], ["restart", "api-container"])

    def test_new_roles_log_in_by_password_and_over_tls(self):
        self.lab.ask("CREATE ROLE visitor LOGIN PASSWORD 'let-me-in-please'")
        port = self.lab.env["DATABASE_URL"].split(":")[-1].split("/")[0]
        where = f"host=127.0.0.1 port={port} dbname=app user=visitor connect_timeout=5"
        with self.assertRaisesRegex(pq.Error, "password authentication failed"):
            pq.Session(where + " password=wrong-password")
        session = pq.Session(where + " password=let-me-in-please sslmode=verify-full"
                             f" sslrootcert={self.lab.env['APP_CA']}")
        self.assertEqual(session.value("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"),
                         "t")
        session.close()
        self.lab.ask("DROP ROLE visitor")

    def test_statements_are_counted_and_the_log_is_readable(self):
        self.assertGreater(int(self.lab.ask("SELECT count(*) FROM pg_stat_statements")[0][0]), 0)
        self.assertTrue(os.path.getsize(self.lab.env["POSTGRES_LOG"]) > 0)
        self.assertTrue(os.stat(self.lab.env["POSTGRES_LOG"]).st_mode & 0o004)

    def test_tables_the_runbooks_talk_of_are_filled(self):
        for table in ("users", '"User"', "sessions", "orders", "events", "media_items",
                      "feature_flags", "audit_logs", "cost_tracking"):
            self.assertGreater(int(self.lab.ask(f"SELECT count(*) FROM {table}")[0][0]), 0, table)

    def test_the_application_tells_of_its_health_and_its_pool(self):
        self.lab.break_it("db-exhaustion", settle=0)
        self.assertEqual(self.get("/health")[1]["services"], {"database": "connected"})
        self.assertEqual(self.get("/api/admin/pool")[0], 401)
        status, pool = self.get("/api/admin/pool", self.lab.env["ADMIN_TOKEN"])
        self.assertEqual((status, pool["data"]["total"], pool["data"]["idle"]), (200, 54, 44))
        self.lab.mend()

    def test_the_application_can_be_told_to_be_broken_and_says_what_it_received(self):
        self.get("/_lab/reset", data=b"{}")
        self.get("/_lab/state", data=b'{"status": 503, "paths": ["/health"]}')
        self.assertEqual(self.get("/health")[0], 503)
        self.assertEqual(self.get("/api/health")[0], 200)
        received = self.get("/_lab/requests")[1]
        self.assertEqual([(r["method"], r["path"]) for r in received],
                         [("GET", "/health"), ("GET", "/api/health")])
        self.get("/_lab/reset", data=b"{}")
        self.assertEqual(self.get("/health")[0], 200)

    def test_https_is_trusted_with_the_labs_own_authority_only(self):
        import ssl
        trusted = ssl.create_default_context(cafile=self.lab.env["APP_CA"])
        url = self.lab.env["APP_TLS_URL"]
        self.assertEqual(self.get("/api/health", url=url, context=trusted)[0], 200)
        with self.assertRaises(urllib.error.URLError):
            self.get("/api/health", url=url, context=ssl.create_default_context())


class LabComesAndGoes(unittest.TestCase):
    def test_down_leaves_no_process_and_no_file(self):
        lab = Lab().up()
        began = time.monotonic()
        lab.break_it("db-exhaustion", settle=0)
        print(f"broken in {time.monotonic() - began:.1f} s")
        processes = {}
        for path in glob.glob(os.path.join(lab.directory, "*.pid")):
            with open(path, encoding="utf-8") as file:
                entry = json.load(file)
            processes[entry["pid"]] = start_time(entry["pid"])
            processes |= descendants(entry["pid"])
        with open(os.path.join(lab.directory, "postgres.room"), encoding="utf-8") as file:
            room = file.read()
        self.assertGreater(len(processes), 95)
        self.assertTrue(os.path.isdir(room))
        lab.call("down")
        self.assertEqual(alive(processes), set())
        self.assertFalse(os.path.exists(room))
        self.assertEqual(os.listdir(lab.room), [])
        os.rmdir(lab.room)

    def test_down_ends_also_what_is_deaf_to_its_end(self):
        lab = Lab().up()
        lab.break_it("high-cpu", settle=0)
        with open(os.path.join(lab.directory, "nightly.ready"), encoding="utf-8") as file:
            said = json.load(file)
        lab.down()
        self.assertEqual(alive(dict(zip(said["pids"], said["starts"]))), set())

    def test_two_labs_stand_side_by_side(self):
        one, two = Lab().up(), Lab().up()
        try:
            self.assertNotEqual(one.env["DATABASE_URL"], two.env["DATABASE_URL"])
            one.break_it("db-exhaustion", settle=0)
            self.assertLess(two.usage(), 5)
        finally:
            one.down()
            two.down()

    def test_a_directory_that_is_no_lab_is_left_alone(self):
        lab = Lab()
        os.mkdir(lab.directory)
        kept = os.path.join(lab.directory, "kept")
        with open(kept, "w", encoding="ascii"):
            pass
        code, text = lab.call("down", check=False)
        self.assertEqual(code, 1)
        self.assertIn("is no lab", text)
        self.assertEqual(os.listdir(lab.directory), ["kept"])
        os.unlink(kept)
        lab.down()
        self.assertFalse(os.path.exists(lab.room))

    def test_an_unknown_scenario_is_named_with_those_there_are(self):
        lab = Lab().up()
        try:
            code, text = lab.call("break", "nothing", check=False)
            self.assertEqual(code, 1)
            self.assertIn("there are: db-exhaustion", text)
        finally:
            lab.down()


if __name__ == "__main__":
    main()
