"""Playbook backup-verification against a real server, a real dump and an S3 server: dry, refused, whole, damaged,
missing, interrupted, with dead peers."""

import glob
import gzip
import hashlib
import json
import os
import re
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import AuthorTest  # noqa: E402
from harness import ROOT, descendants, alive, main, wait_until  # noqa: E402

PLAYBOOK = "weekly/backup-verification.lua"
SLOW = """#!/bin/sh
case " $* " in *" --list "*) exec /usr/bin/pg_restore "$@" ;; esac
/usr/bin/pg_restore "$@" && touch "$0.restored" && sleep %s
"""


class Backups(AuthorTest):
    """Every test finds good backups, and a directory of its own to fetch them into."""

    def setUp(self):
        super().setUp()
        self.lab.call("backup")
        self.work = self.path("work")
        os.makedirs(self.work)
        self.mark = len(self.requests())
        self.mails_before, self.hooks_before = len(self.mails()), len(self.hooks())

    def words(self, *words):
        return ("play", PLAYBOOK, *(words if "-e" in words else ("-e", "lab", *words)), "-p", f"workdir={self.work}")

    def verify(self, *words, env=None):
        return self.opsrun(*self.words(*words), env=env)

    def requests(self):
        try:
            with open(self.lab.env["S3_REQUESTS"], encoding="utf-8") as file:
                return file.read().splitlines()
        except OSError:
            return []

    def mails(self):
        try:
            with open(self.lab.env["MAILS"], encoding="utf-8") as file:
                return [(mail["to"], mail["data"].replace("=\r\n", "")) for mail in map(json.loads, file)]
        except OSError:
            return []

    def hooks(self):
        import urllib.request
        with urllib.request.urlopen(f"{self.lab.env['APP_URL']}/_lab/requests", timeout=30) as answer:
            return [r for r in json.load(answer) if r["method"] == "POST"]

    def told(self):
        """Addresses that got a mail in this test, and paths of the application that got a message."""
        mails = {to: text for recipients, text in self.mails()[self.mails_before:] for to in recipients}
        return mails, [r["path"] for r in self.hooks()[self.hooks_before:]]

    def objects(self):
        """{name: path of its content} in the bucket, newest first."""
        room = self.lab.env["S3_FILES"]
        paths = glob.glob(room + "/**/*._S3rver_object", recursive=True)
        paths.sort(key=lambda path: -os.stat(path).st_mtime)
        return {os.path.relpath(path, room).removesuffix("._S3rver_object"): path for path in paths}

    def newest(self):
        return next((n, p) for n, p in self.objects().items() if n.endswith(".dump"))

    def databases(self):
        return {name for name, in self.lab.ask("SELECT datname FROM pg_database")}

    def fingerprint(self):
        """The server's databases, roles and settings, every row of the application, the bucket, the directory."""
        catalogue = self.lab.ask("SELECT oid, datname, datallowconn FROM pg_database ORDER BY 1")
        roles = self.lab.ask("SELECT * FROM pg_authid ORDER BY oid")
        tables = [name for name, in self.lab.ask(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")]
        rows = {table: self.lab.ask(f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} t") for table in tables}
        bucket = {}
        for name, path in self.objects().items():
            with open(path, "rb") as file:
                bucket[name] = (hashlib.sha256(file.read()).hexdigest(), os.stat(path).st_mtime_ns)
        return {"databases": catalogue, "roles": roles, "rows": rows, "bucket": bucket, "work": os.listdir(self.work)}

    def expect_untouched(self, before, done):
        now = self.fingerprint()
        for what, was in before.items():
            self.assertEqual(was, now[what], f"{what}\n{done}")
        self.assertEqual([r for r in self.requests()[self.mark:] if not r.startswith(("GET ", "HEAD "))], [])

    def expect_clean(self, done):
        """No scratch database, no copy, whatever happened."""
        self.assertEqual([name for name in self.databases() if name.startswith("test_restore")], [], done)
        self.assertEqual(os.listdir(self.work), [], done)

    def test_a_dry_run_changes_nothing_and_shows_each_change(self):
        before = self.fingerprint()
        done = self.verify("-n")
        print(f"dry run: {done.seconds:.2f} s")
        name, _ = self.newest()
        self.expect(done, code=0, out=[
            rf"WOULD ASK Restore {name} \(\d+ bytes\) into test_restore_\S+ on primary", r"gate agree",
            r"WOULD mkdir", rf"WOULD fetch {name} from lab-backups", "AWS_SECRET_ACCESS_KEY=‹secret:S3_SECRET›",
            'WOULD create database test_restore', 'CREATE DATABASE "test_restore_', "WOULD restore backup.dump into test_restore",
            "pg_restore --exit-on-error", "PGPASSWORD=‹secret:PGPASSWORD›", "WOULD drop database test_restore",
            "OK +age of the newest backup 30m", "OK +media files 12", "nothing was changed"],
            absent=[self.lab.env["S3_SECRET"]])
        self.expect_untouched(before, done)
        self.assertEqual(self.told(), ({}, []))

    def test_live_a_good_backup_is_restored_compared_and_dropped(self):
        before, seen = self.fingerprint(), set()
        over = threading.Event()

        def watch():
            while not over.is_set():
                seen.update(name for name in self.databases() if name.startswith("test_restore"))
                time.sleep(0.02)

        watcher = threading.Thread(target=watch)
        watcher.start()
        log = self.path("verification.log")
        done = self.verify("--yes", "-p", f"log={log}", "-p", "same=feature_flags,User")
        over.set()
        watcher.join()
        print(f"live: {done.seconds:.2f} s")
        name, _ = self.newest()
        self.expect(done, code=0, out=[
            "OK +checksum", r"database +app", r"format +CUSTOM", r"server +15", r"public.orders +5000 +5000",
            r"public.feature_flags +3 +3 .* equal", r"public.User +500 +500 .* equal", "OK +tables missing 0",
            r"OK +constraints restored \d+", "OK +restore time", f"drop database {'|'.join(seen)} on primary"])
        self.assertEqual(len(seen), 1, "one scratch database was on the server while it ran")
        self.expect_untouched(before, done)
        mails, hooks = self.told()
        self.assertEqual((list(mails), hooks), (["report@lab.example"], []), "all well goes to the report alone")
        self.assertIn("OK  rows that differ 0 %", mails["report@lab.example"])
        with open(log, encoding="utf-8") as file:
            self.assertRegex(file.read(), rf"^2\S+ \S+ verified {name} \d+ bytes \d")
        self.assertEqual(len([r for r in self.requests() if f"/{name}" in r and r.startswith("GET")]), 2, "it and its checksum")

    def test_the_five_newest_are_listed_by_time_not_by_name(self):
        done = self.verify("--until", "list-the-backups")
        self.expect(done, code=0, out=["last 5 in s3://lab-backups/postgres/"], absent=["zz-before-migration"])
        self.assertEqual(len(re.findall(r"postgres/backup_\S+\.dump +\d+", done.out)), 5)

    def test_a_page_of_a_listing_is_not_the_listing(self):
        room = os.path.join(self.lab.env["S3_FILES"], "media", "many")
        os.makedirs(room)
        self.addCleanup(self.lab.call, "backup")
        parts = {"object": "x" * 10, "object.md5": "0" * 32, "metadata.json": '{"content-type":"text/plain"}'}
        for number in range(1100):
            for part, text in parts.items():
                with open(os.path.join(room, f"{number}._S3rver_{part}"), "w", encoding="ascii") as file:
                    file.write(text)
        self.expect(self.verify("--from", "media-files", "--until", "media-files"), code=0,
                    out=["OK +media files 1112 ", "1112 files, 89000 bytes"])

    def test_backups_in_a_directory_are_verified_where_they_are_and_packed_ones_are_unpacked_aside(self):
        room, (_, path) = self.path("kept"), self.newest()
        os.makedirs(room)
        media = os.path.dirname(self.write("media/2026/clip.bin", "clip"))
        with open(path, "rb") as file:
            body = file.read()
        config = self.lab_environment(f'params = {{ dir = "{room}", db = "primary", staging = "primary", same_server = true }}')
        for name, content in (("app.dump", body), ("app.dump.gz", gzip.compress(body))):
            with open(os.path.join(room, name), "wb") as file:
                file.write(content)
            with open(os.path.join(room, name + ".sha256"), "w", encoding="ascii") as file:
                file.write(hashlib.sha256(content).hexdigest() + f"  {name}\n")
            done = self.verify(*config, "--yes", "-p", "media=" + os.path.dirname(media))
            self.expect(done, code=0, out=[f"{name} +{len(content)}", "OK +checksum", "1 files, 4 bytes", "OK +rows that differ 0 %"])
            self.expect_clean(done)
            with open(os.path.join(room, name), "rb") as file:
                self.assertEqual(file.read(), content)
            os.unlink(os.path.join(room, name))
            os.unlink(os.path.join(room, name + ".sha256"))

    def test_what_the_environment_does_not_name_is_skipped_aloud(self):
        self.expect(self.opsrun("play", PLAYBOOK, *self.environment('return { label = "bare" }')), code=0, out=[
            "skipped: neither parameter 'bucket' nor 'dir' is given", "skipped: parameter 'media' is not given",
            "skipped: parameter 'db' is not given", "nobody is told as 'report': the parameter is not given"])
        config = self.environment('return { params = { bucket = env "S3_BUCKET", endpoint = env "S3_URL", '
                                  'access_key = env "S3_KEY", secret_key = secret.env "S3_SECRET" } }', "store")
        done = self.verify(*config)
        self.expect(done, code=0, out=["OK +checksum", "skipped: parameter 'db' is not given", "skipped: parameter 'staging' is not given"])
        self.expect_clean(done)

    def test_a_damaged_backup_is_named_before_anything_is_restored(self):
        self.lab.break_it("backup-corrupt")
        self.addCleanup(self.lab.mend)
        before, self.mark = self.fingerprint(), len(self.requests())
        log = self.path("verification.log")
        done = self.verify("--yes", "-p", f"log={log}")
        self.expect(done, code=1, out=["step 'Look into it'.*the backup is damaged: its checksum", "CRITICAL +checksum"],
                    absent=["create database"])
        self.expect_untouched(before, done)
        mails, hooks = self.told()
        self.assertEqual(set(mails), {"report@lab.example", "oncall@lab.example"})
        self.assertIn("the backup is damaged", mails["report@lab.example"])
        self.assertIn("was restored in the last 7d", mails["oncall@lab.example"])
        self.assertEqual(sorted(hooks), ["/hooks/team", "/pagerduty/v2/enqueue"])
        with open(log, encoding="utf-8") as file:
            self.assertIn(f"NOT VERIFIED {self.newest()[0]}", file.read())

    def test_a_damaged_backup_without_a_checksum_fails_the_restore_and_leaves_no_database(self):
        self.lab.break_it("backup-corrupt")
        self.addCleanup(self.lab.mend)
        os.unlink(self.objects()[self.newest()[0] + ".sha256"])
        done = self.verify("--yes")
        self.expect(done, code=1, out=["no checksum lies beside it", "step 'Restore into it'", "it said: .*pg_restore: error"])
        self.expect_clean(done)

    def test_on_call_hears_only_when_none_was_restored_for_long(self):
        self.expect(self.verify("--yes"), code=0)
        self.lab.break_it("backup-corrupt")
        self.addCleanup(self.lab.mend)
        self.mails_before = len(self.mails())
        self.expect(self.verify("--yes"), code=1)
        self.assertEqual(set(self.told()[0]), {"report@lab.example"})
        self.expect(self.verify("--yes", "-p", "unproved=1s"), code=1)
        self.assertEqual(set(self.told()[0]), {"report@lab.example", "oncall@lab.example"})

    def test_a_backup_that_was_not_made_is_critical_and_the_last_one_is_verified_all_the_same(self):
        self.lab.break_it("backup-missing")
        self.addCleanup(self.lab.mend)
        done = self.verify("--yes")
        self.expect(done, code=1, out=["CRITICAL +age of the newest backup 3d", "OK +rows that differ 0 %",
                                       "DONE, a check is critical"])
        self.expect_clean(done)
        mails, hooks = self.told()
        self.assertIn("CRITICAL  age of the newest backup 3d", mails["report@lab.example"])
        self.assertEqual(hooks, ["/hooks/team"])

    def test_no_backup_at_all_is_named(self):
        done = self.verify("--yes", "-p", "prefix=elsewhere/")
        self.expect(done, code=1, out=["step 'List the backups'.*there is no backup: nothing in s3://lab-backups/elsewhere/"])
        self.assertIn("/hooks/team", self.told()[1])

    def test_rows_that_the_backup_lacks_are_found(self):
        # however fresh the lab is: its own orders are hours old, the late ones one hour
        self.lab.ask("UPDATE orders SET created_at = created_at - interval '3 hours'")
        self.addCleanup(self.lab.ask, "UPDATE orders SET created_at = created_at + interval '3 hours'")
        self.lab.call("backup")
        self.lab.ask("INSERT INTO orders (user_id, status, total, created_at) SELECT 1, 'late', 1, now() - interval '1 hour'"
                     " FROM generate_series(1, 400)")
        self.lab.ask("UPDATE feature_flags SET rollout_percentage = 26 WHERE name = 'new-search'")
        self.addCleanup(self.lab.ask, "UPDATE feature_flags SET rollout_percentage = 25 WHERE name = 'new-search'")
        self.addCleanup(self.lab.ask, "DELETE FROM orders WHERE status = 'late'")
        done = self.verify("--yes", "-p", "tables=orders", "-p", "same=feature_flags", "-p", "lag=10s")
        self.expect(done, code=1, out=[
            r"public.orders +5400 +5000 +7.4", r"feature_flags +3 +3 .* differs", "CRITICAL +rows that differ 7.4 %",
            r"CRITICAL +newest rows behind the backup \d+ s", "CRITICAL +tables whose content differs 1",
            "skipped: what was restored is not what production holds"])
        self.expect_clean(done)

    def test_media_files_that_are_gone_are_found(self):
        self.expect(self.verify("--until", "media-files"), code=0)
        removed = [path for name, path in self.objects().items() if name.startswith("media/")][:3]
        for path in removed:
            os.unlink(path)
        done = self.verify("--until", "media-files")
        self.expect(done, code=1, out=["CRITICAL +media count lost since last time 25 %"])

    def test_a_plain_dump_under_the_name_of_a_custom_one_is_named(self):
        room = self.path("kept")
        os.makedirs(room)
        with open(os.path.join(room, "app.dump"), "w", encoding="ascii") as file:
            file.write("--\n-- PostgreSQL database dump\n--\n")
        config = self.lab_environment(f'params = {{ dir = "{room}" }}')
        self.expect(self.verify(*config), code=1, out=["'app.dump' is no dump in custom format"])

    def test_a_dead_s3_server_and_a_wrong_key_fail_the_first_step(self):
        for env, why in (({"S3_URL": "http://127.0.0.1:9"}, "Could not connect to the endpoint"),
                         ({"S3_KEY": "stranger"}, "InvalidAccessKeyId"), ({"S3_BUCKET": "nowhere"}, "NoSuchBucket")):
            done = self.verify("--yes", env=env)
            self.expect(done, code=1, text=["step 'List the backups'", why])
            self.expect_clean(done)

    def test_a_dead_database_fails_before_anything_is_fetched(self):
        url = re.sub(r"@127.0.0.1:\d+", "@127.0.0.1:9", self.lab.env["DATABASE_URL"])
        done = self.verify("--yes", env={"DATABASE_URL": url})
        self.expect(done, code=1, out=["step 'Agree on the restore'.*cannot connect to 'primary'"])
        self.assertEqual([r for r in self.requests()[self.mark:] if ".dump" in r], [])

    def test_without_a_terminal_it_is_refused_and_nothing_is_touched(self):
        before = self.fingerprint()
        done = self.verify()
        self.expect(done, code=5, text=["--answer agree=yes"])
        self.expect_untouched(before, done)

    def test_no_on_a_terminal_leaves_all_as_it_was(self):
        before = self.fingerprint()
        terminal = self.terminal(*self.words())
        terminal.wait_for("Restore postgres/backup")
        terminal.wait_for(r"yes or no \[no\]: ")
        terminal.send("n\n")
        done = terminal.finish()
        self.expect(done, code=5)
        self.expect_untouched(before, done)

    def test_production_is_not_restored_onto_unless_that_is_said(self):
        before = self.fingerprint()
        config = self.lab_environment('params = { bucket = env "S3_BUCKET", endpoint = env "S3_URL", access_key = env "S3_KEY", '
                                      'secret_key = secret.env "S3_SECRET", db = "primary", staging = "other" }')
        with open(os.path.join(self.room, "environments", "trial.lua"), encoding="utf-8") as file:
            text = file.read().replace("sql = {", 'sql = { other = { url = secret.env "OTHER_URL" },')
        self.environment(text)
        done = self.verify(*config, "--yes", env={"OTHER_URL": self.lab.env["DATABASE_URL"].replace("127.0.0.1", "localhost")})
        self.expect(done, code=1, out=["'primary' and 'other' are one server", "same_server=true"])
        self.expect_untouched(before, done)

    def slow_restore(self, seconds):
        """A pg_restore that takes its time after it has restored all."""
        path = self.write("bin/pg_restore", SLOW % seconds)
        os.chmod(path, 0o755)
        process = self.start(*self.words("--yes"), env={"PATH": self.path("bin") + ":" + self.environ()["PATH"]})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertTrue(wait_until(lambda: os.path.exists(path + ".restored"), within=60))
        self.assertTrue([name for name in self.databases() if name.startswith("test_restore")])
        return process

    def test_ctrl_c_lets_the_restore_end_and_drops_the_database(self):
        process = self.slow_restore(2)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, out.decode())
        self.expect_clean(out.decode())

    def test_ctrl_c_twice_ends_the_restore_and_drops_the_database(self):
        process = self.slow_restore(60)
        below = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
        self.assertIn(process.returncode, (7, 130), out.decode())
        self.expect_clean(out.decode())
        self.assertEqual(alive(below), set())


    def killed(self):
        process = self.slow_restore(60)
        process.kill()
        process.communicate(timeout=30)
        self.assertTrue([name for name in self.databases() if name.startswith("test_restore")])
        return self.run_ids()[-1]

    def test_kill_9_and_resume_go_on_with_the_very_database_and_drop_it(self):
        run = self.killed()
        done = self.opsrun("resume", run)      # one transaction: that the database has tables says that it happened
        self.expect(done, code=0, out=["happened, not made again: restore backup.dump", "rows that differ"])
        self.expect_clean(done.out)

    def test_kill_9_and_undo_drop_the_database(self):
        run = self.killed()
        done = self.opsrun("undo", run, "--yes")
        self.expect(done, code=7, out=["nobody knows whether this happened: restore backup.dump"])
        self.expect_clean(done.out)

    def test_setup_pins_the_peer_and_its_lock_names_no_registry(self):
        with open(os.path.join(ROOT, "tests", "lab", "s3", "package-lock.json"), encoding="utf-8") as file:
            text = file.read()
        self.assertNotIn('"resolved"', text)
        self.assertNotIn("http:", text)
        self.assertNotIn("https:", text)

    def test_who_gives_no_key_gets_nothing(self):
        import urllib.error
        import urllib.request
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{self.lab.env['S3_URL']}/lab-backups?list-type=2", timeout=10)
        caught.exception.close()
        self.assertEqual(caught.exception.code, 403)


if __name__ == "__main__":
    main()
