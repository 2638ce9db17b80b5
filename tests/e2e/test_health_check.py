"""Playbook health-check: the lab whole, one thing broken at a time, side by side, dry."""

import json
import os
import shutil
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import AuthorTest  # noqa: E402
from harness import main, wait_until  # noqa: E402

PLAY = ("play", "daily/health-check.lua", "-e", "lab", "-p", "disk_crit=100")      # this machine's disks are its own
STEPS = {"Application health", "Detailed health", "Figures of the application", "Database performance",
         "Database connections", "Cache figures", "Redis", "Disks", "Units", "Containers", "Queues",
         "Errors in the journal", "Errors in the logs", "Certificate", "Newest backup"}
NOT_OF_THE_APP = {"Database connections", "Redis", "Disks", "Errors in the logs"}

DOCKER = """#!/bin/sh
echo '{"Names":"api","State":"running","Status":"Up 2 hours","Ports":"127.0.0.1:3000->3000/tcp"}'
echo '{"Names":"worker","State":"exited","Status":"Exited (1) 5 minutes ago","Ports":""}'
"""
SYSTEMCTL = """#!/bin/sh
for unit; do :; done
case $unit in
  nginx) echo LoadState=loaded; echo ActiveState=active; echo SubState=running ;;
  backend) echo LoadState=loaded; echo ActiveState=failed; echo SubState=failed ;;
  *) echo LoadState=not-found; echo ActiveState=inactive; echo SubState=dead ;;
esac
"""
JOURNALCTL = """#!/bin/sh
case "$*" in
  *--unit=unheard*) ;;
  *--lines=1*) echo '{"PRIORITY":"6"}' ;;
  *--unit=nginx*) ;;
  *--priority=err*--since=-3600s*) for i in 1 2 3 4 5 6 7 8 9 10 11; do echo '{"PRIORITY":"3"}'; done ;;
esac
"""


class Health(AuthorTest):

    def setUp(self):
        super().setUp()
        self.app("reset")
        self.seen = len(self.mails())

    def app(self, handle, wish=None):
        request = urllib.request.Request(f"{self.lab.env['APP_URL']}/_lab/{handle}",
                                         data=None if wish is None else json.dumps(wish).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def break_it(self, scenario):
        self.lab.break_it(scenario)
        self.addCleanup(self.lab.mend)

    def mails(self):
        """(recipients, text) of what the mail server took."""
        try:
            with open(self.lab.env["MAILS"], encoding="utf-8") as file:
                return [(mail["to"], mail["data"].replace("=\r\n", "")) for mail in map(json.loads, file)]
        except OSError:
            return []

    def told(self):
        """Addresses that got a mail in this test, with what it says."""
        return {to: text for recipients, text in self.mails()[self.seen:] for to in recipients}

    def steps(self, done):
        return {e["name"]: e for e in self.events(done, "step.end")}

    def checks(self, done):
        """Verdict by check, and the names of the steps that checked something."""
        events = self.events(done, "check")
        return {e["name"]: e["verdict"] for e in events}, {e["step"]["name"] for e in events}

    def commands(self):
        """Commands this machine lacks, outside /tmp, which a jailed look sees empty."""
        room = tempfile.mkdtemp(prefix="opsrun-commands-", dir="/var/tmp")
        self.addCleanup(shutil.rmtree, room, ignore_errors=True)
        os.chmod(room, 0o755)
        for name, text in (("docker", DOCKER), ("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL)):
            with open(os.path.join(room, name), "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(os.path.join(room, name), 0o755)
        return {"PATH": room + ":" + os.environ["PATH"]}

    def backup(self, age=60, text="PGDMP"):
        room = tempfile.mkdtemp(prefix="opsrun-backups-")
        self.addCleanup(shutil.rmtree, room, ignore_errors=True)
        for name, seconds in (("z-first.dump", 90 * 86400), ("a-last.dump", age)):
            path = os.path.join(room, name)
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
            os.utime(path, (time.time() - seconds,) * 2)
        return f"backups={room}/*.dump"


class Whole(Health):

    def test_every_line_is_measured_or_skipped_aloud(self):
        done = self.opsrun(*PLAY, "--json")
        self.expect(done, code=0)
        steps, (_, measured) = self.steps(done), self.checks(done)
        self.assertEqual(set(steps), STEPS)
        for name, step in steps.items():
            if step["state"] == "skipped":
                self.assertRegex(step["reason"], "parameter '.*' is not given")
            else:
                self.assertEqual(step["state"], "done", step)
                self.assertIn(name, measured)
        skipped = sorted(name for name, step in steps.items() if step["state"] == "skipped")
        self.assertEqual(skipped, ["Containers", "Errors in the journal", "Newest backup", "Units"])
        print(f"{len(measured)} measured, {len(skipped)} skipped aloud, {done.seconds:.2f} s")

    def test_live_with_all_targets_named_every_line_is_measured(self):
        done = self.opsrun(*PLAY, "--json", "-p", "units=nginx", "-p", "containers=api", "-p", self.backup(),
                           env=self.commands())
        self.expect(done, code=0)
        verdicts, measured = self.checks(done)
        self.assertEqual(measured, STEPS)
        self.assertEqual({name for name, verdict in verdicts.items() if verdict != "ok" and "disk" not in name}, set())

    def test_all_well_goes_to_the_mail_and_to_nobody_louder(self):
        self.expect(self.opsrun(*PLAY, "-p", "disk_warn=100"), code=0)
        told = self.told()
        self.assertEqual(set(told), {"report@lab.example"})
        self.assertIn("OK  application status healthy", told["report@lab.example"])
        self.assertIn("SKIPPED  Units: parameter 'units' is not given", told["report@lab.example"])
        self.assertEqual([r for r in self.app("requests") if r["method"] == "POST"], [])

    def test_a_dry_run_changes_nothing(self):
        done = self.opsrun(*PLAY, "-n")
        self.expect(done, code=0, out=["WOULD tell report", "nothing was changed"])
        methods = {r["method"] for r in self.app("requests")}
        self.assertTrue(methods and methods <= {"GET", "HEAD"}, methods)
        self.assertEqual(self.told(), {})

    def test_an_environment_that_names_nothing_skips_all_but_the_disks(self):
        config = self.environment('return { label = "bare" }')
        done = self.opsrun("play", "daily/health-check.lua", *config, "-p", "disk_crit=100")
        self.expect(done, code=0, out=["disk /", "nobody is told as 'oncall': the parameter is not given"])
        self.assertEqual(done.out.count("skipped: parameter"), len(STEPS) - 1)


class Broken(Health):

    def test_the_application_down_hides_nothing_else(self):
        self.break_it("app-down")
        self.seen = len(self.mails())
        done = self.opsrun(*PLAY, "--json")
        self.expect(done, code=1)
        steps, (verdicts, measured) = self.steps(done), self.checks(done)
        self.assertEqual(set(steps), STEPS)
        self.assertEqual(measured, NOT_OF_THE_APP)
        self.assertEqual(verdicts["connections used"], "ok")
        self.assertEqual({name for name, step in steps.items() if step["state"] == "failed"},
                         {"Application health", "Detailed health", "Figures of the application",
                          "Database performance", "Cache figures", "Queues", "Certificate"})
        end = self.events(done, "run.end")[0]
        self.assertEqual(end["step_name"], "Application health")
        self.assertEqual(len(end["also"]), 6)
        told = self.told()
        self.assertEqual(set(told), {"report@lab.example", "oncall@lab.example"})
        for text in told.values():
            self.assertRegex(text, "step 'Application health': cannot connect to 'api' .*connection refused")
            self.assertIn("step 'Queues': cannot connect", text)
            self.assertIn("OK  redis answers PONG", text)

    def test_the_report_names_each_line_that_failed(self):
        self.break_it("app-down")
        self.expect(self.opsrun(*PLAY), code=1, out=[
            r"error +step 'Application health', health-check.lua:\d+: cannot connect",
            r"error +step 'Queues': cannot connect", "OK +redis answers PONG"])

    def test_what_comes_back_while_it_is_looked_at_again_counts_as_well(self):
        self.app("state", {"status": 503, "paths": ["/health"]})
        process = self.start(*PLAY, "-p", "persist=10s")
        asked = wait_until(lambda: len([r for r in self.app("requests") if r["path"] == "/health"]) > 1)
        self.app("state", {"status": None})
        out, _ = process.communicate(timeout=60)
        self.assertTrue(asked)
        self.assertEqual(process.returncode, 0, out.decode())
        self.assertRegex(out.decode(), "answered 503.*looked at again for 10s")

    def test_another_word_than_the_expected_is_critical(self):
        done = self.opsrun(*PLAY, "-p", "expect=splendid", "-p", "persist=0s")
        self.expect(done, code=1, out=[r"CRITICAL +application status healthy +\(expected splendid\)"])

    def test_a_slow_application_is_a_warning_and_slows_nothing_else(self):
        self.break_it("slow-app")
        done = self.opsrun(*PLAY, "--json")
        self.expect(done, code=0)
        verdicts, measured = self.checks(done)
        self.assertEqual(verdicts["response time"], "warning")
        self.assertGreater(len(measured), 10)
        seconds = {name: step["seconds"] for name, step in self.steps(done).items()}
        slowest = max(seconds.values())
        print(f"side by side: {done.seconds:.2f} s, slowest {slowest:.2f} s, ratio {done.seconds / slowest:.2f};"
              f" one after another {sum(seconds.values()):.2f} s")
        self.assertGreater(sum(seconds.values()), 5 * slowest)
        self.assertLessEqual(done.seconds, 1.3 * slowest)
        self.assertIn("report@lab.example", self.told())

    def test_a_certificate_that_runs_out_is_critical(self):
        self.break_it("certificate-expiring")
        self.expect(self.opsrun(*PLAY), code=1, out=["CRITICAL +days left on the certificate [23] "])
        self.lab.mend()
        self.expect(self.opsrun(*PLAY), code=0, out=["OK +days left on the certificate"])

    def test_a_full_disk_is_critical(self):
        if os.geteuid() != 0:
            self.skipTest("only root mounts a small file system")
        self.break_it("disk-full")
        disk = os.path.join(self.lab.directory, "disk")
        self.expect(self.opsrun("play", "daily/health-check.lua", "-e", "lab"), code=1, out=[f"CRITICAL +disk {disk} 9"])
        done = self.opsrun("play", "daily/health-check.lua", "-e", "lab", "-p", f"disk_ignore={disk}")
        self.expect(done, absent=[f"disk {disk}"])

    def test_figures_are_judged(self):
        self.app("state", {"numbers": {
            "analytics": {"avg_response_time": 501, "error_rate": 5.1, "cache_hit_rate": 79},
            "performance": {"avg_query_time": 101, "slow_queries": 11}, "cache": {"hit_rate": 79.9},
            "queues": {"depth": 1001, "failed": 1}}})
        verdicts, _ = self.checks(self.opsrun(*PLAY, "--json"))
        bad = {name: verdict for name, verdict in verdicts.items() if verdict != "ok" and "disk" not in name}
        self.assertEqual(bad.pop("error rate"), "critical")
        self.assertEqual(set(bad.values()), {"warning"})
        self.assertEqual(set(bad), {"average response time", "cache hit rate", "mean query time", "slow queries",
                                    "cache hits", "jobs that wait", "jobs that failed"})

    def test_a_figure_that_is_missing_is_no_pass(self):
        done = self.opsrun(*PLAY, "-p", "analytics=/health")
        self.expect(done, code=1, out=["step 'Figures of the application'.* has no 'avg_response_time'"])

    def test_units_and_containers_that_do_not_run_are_critical(self):
        done = self.opsrun(*PLAY, "-p", "units=backend,missing", "-p", "containers=worker,gone", env=self.commands())
        self.expect(done, code=1, out=["CRITICAL +unit backend failed", "CRITICAL +unit missing not-found",
                                       "CRITICAL +container worker exited", "CRITICAL +container gone no value",
                                       "WARNING +errors of backend 11"])

    def test_a_journal_that_knows_nothing_of_a_unit_is_not_free_of_errors(self):
        done = self.opsrun(*PLAY, "-p", "units=unheard", env=self.commands())
        self.expect(done, code=1, out=["the journal holds nothing of unit 'unheard'"], absent=["errors of unheard"])

    def test_the_newest_backup_counts_by_its_time(self):
        old = self.opsrun(*PLAY, "-p", self.backup(27 * 3600))
        self.expect(old, code=1, out=["a-last.dump", "CRITICAL +age of the newest backup 1d3h"])
        self.expect(self.opsrun(*PLAY, "-p", self.backup(text="")), code=1, out=["CRITICAL +size of the newest backup 0"])
        self.expect(self.opsrun(*PLAY, "-p", f"backups={self.room}/*.dump"), code=1, out=["there is no backup"])

    def test_connections_that_run_out_are_seen_and_the_playbook_for_it_named(self):
        self.break_it("db-exhaustion")
        self.expect(self.opsrun(*PLAY), out=["WARNING +connections used|CRITICAL +connections used",
                                             "opsrun play incident/db-exhaustion.lua -e lab -p db=primary"])


if __name__ == "__main__":
    main()
