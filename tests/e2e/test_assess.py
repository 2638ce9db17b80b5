"""Playbook assess: the lab whole, parts of it broken, hung or killed in between. What does not answer ends nothing."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import main, wait_until  # noqa: E402
import test_health_check as health  # noqa: E402

# this machine's own load, memory and disks are no matter of the lab
PLAY = ("play", "incident/assess.lua", "-e", "lab", "-p", "cpu=100")
NOWHERE = {"DATABASE_URL": "postgres://ops:nobody@127.0.0.1:1/app", "REDIS_URL": "redis://127.0.0.1:1/0"}
VERCEL = """#!/bin/sh
echo "{\\"level\\":\\"error\\",\\"message\\":\\"vercel was asked for $*\\"}"
"""


class AssessTest(health.Health):

    def sum(self, done):
        """What the last step showed: {what: (severity, playbook)}, and the commands offered at the end."""
        rows = [e for e in self.events(done, "show") if e["step"]["name"] == "Sum it up"]
        found = {row["what"]: (row["severity"], row.get("play")) for row in rows[0]["value"]} if isinstance(rows[0]["value"], list) else {}
        return {what: said for what, said in found.items() if not what.startswith(("disk ", "memory used", "processors"))}

    def next(self, done):
        return [command.split()[2] for command in self.events(done, "run.end")[0]["next"] if command.startswith("opsrun play")]

    def hooked(self):
        return [r["body"] for r in self.app("requests") if r["path"] == "/hooks/team"]


class Whole(AssessTest):

    def test_nothing_is_wrong_and_what_the_environment_does_not_name_is_skipped_aloud(self):
        done = self.opsrun(*PLAY, "--json")
        steps = self.steps(done)
        self.assertEqual({name for name, step in steps.items() if step["state"] == "skipped"},
                         {"Changes of configuration and dependencies", "Units", "Containers", "Errors at Vercel"})
        self.assertEqual({step["state"] for step in steps.values()}, {"done", "skipped"})
        self.assertEqual(self.sum(done), {})
        self.assertEqual(len(self.hooked()), 1)
        print(f"{len(steps)} steps, {done.seconds:.2f} s")

    def test_a_dry_run_tells_nobody_and_changes_nothing(self):
        done = self.opsrun(*PLAY, "-n")
        self.expect(done, out=["WOULD tell team the assessment", "nothing was changed"])
        self.assertEqual({r["method"] for r in self.app("requests")}, {"GET"})

    def test_live_with_all_targets_named_all_is_looked_at(self):
        env = self.commands()
        room = env["PATH"].split(":")[0]
        with open(os.path.join(room, "vercel"), "w", encoding="ascii") as file:
            file.write(VERCEL)
        os.chmod(os.path.join(room, "vercel"), 0o755)
        repo = tempfile.mkdtemp(prefix="opsrun-repo-", dir="/var/tmp")
        self.addCleanup(shutil.rmtree, repo, ignore_errors=True)
        for name in ("package.json", "app.js"):
            with open(os.path.join(repo, name), "w", encoding="ascii") as file:
                file.write("{}")
        for words in (["init", "-q"], ["add", "."], ["-c", "user.name=ana", "-c", "user.email=ana@x", "commit", "-q", "-m", "upgrade"]):
            subprocess.run(["git", "-C", repo, *words], check=True, stdin=subprocess.DEVNULL)
        done = self.opsrun(*PLAY, "-p", "units=nginx,backend", "-p", "containers=api,worker", "-p", f"repo={repo}",
                           "-p", "vercel=shop", env=env)
        self.expect(done, code=1, out=[
            "CRITICAL +unit backend failed", "OK +container api running", "CRITICAL +container worker exited",
            r"ana +upgrade +package\.json|upgrade.*package\.json",
            "vercel was asked for logs --project shop .*--level error --since 60m --limit 20 --json",
            "suggested severity P1", "next .*opsrun play incident/service-outage.lua -e lab"], absent=["skipped"])


class Broken(AssessTest):

    def test_connections_that_run_out_are_p1_and_the_team_gets_the_page(self):
        self.lab.break_it("db-exhaustion", settle=0)
        self.addCleanup(self.lab.mend)
        done = self.opsrun(*PLAY, "--json")
        self.expect(done, code=1)
        self.assertEqual(self.sum(done)["connections used"], ("P1", "incident/db-exhaustion.lua"))
        self.assertEqual(self.next(done)[0], "incident/db-exhaustion.lua")
        self.assertRegex(self.hooked()[-1], r"suggested severity P1.*connections used: 9\d(\.\d)? %.*play incident/db-exhaustion.lua")

    def test_with_half_of_it_down_all_the_rest_is_looked_at_and_causes_are_named_first(self):
        self.break_it("app-down")
        done = self.opsrun(*PLAY, "--json", env=NOWHERE)
        self.expect(done, code=1)
        self.assertEqual({step["state"] for step in self.steps(done).values()}, {"done", "skipped"})
        found = self.sum(done)
        self.assertEqual({what for what, (severity, _) in found.items() if severity < "P2"},
                         {"application", "front end", "database", "redis", "service app"})
        self.assertEqual({what for what, (severity, _) in found.items() if severity == "P3"},
                         {"detailed health", "deployments", "figures", "queues", "provider api"})
        plays = [play for play in self.next(done) if "high-" not in play and "disk" not in play]
        self.assertEqual(plays, ["incident/database-down.lua", "incident/cache-degraded.lua", "incident/service-outage.lua"])

    def test_what_accepts_and_never_answers_costs_seconds_and_no_more(self):
        with socket.create_server(("127.0.0.1", 0), backlog=64) as deaf:
            port = deaf.getsockname()[1]
            done = self.opsrun(*PLAY, "--json", env={
                "DATABASE_URL": f"postgres://ops:nobody@127.0.0.1:{port}/app", "REDIS_URL": f"redis://127.0.0.1:{port}/0",
                "APP_URL": f"http://127.0.0.1:{port}", "APP_TLS_URL": f"https://localhost:{port}", "TEAM_HOOK": self.lab.env["TEAM_HOOK"]})
        self.expect(done, code=1)
        found = self.sum(done)
        self.assertEqual({what for what, (severity, _) in found.items() if severity < "P2"},
                         {"application", "front end", "database", "redis"})
        self.assertLess(done.seconds, 120, "the runbooks give two minutes")
        print(f"everything deaf: {done.seconds:.1f} s")

    def test_errors_right_after_a_deployment_speak_for_a_rollback(self):
        self.app("state", {"numbers": {"deployment": {"age": 300}, "analytics": {"error_rate": 7, "avg_response_time": 1500},
                                       "queues": {"depth": 1200}, "provider": {"indicator": "major", "description": "API errors"}}})
        done = self.opsrun(*PLAY, "--json")
        self.expect(done, code=1, out=["something was deployed lately"])
        found = self.sum(done)
        self.assertEqual(found["error rate"], ("P1", "deploy/rollback.lua"))
        self.assertEqual(found["average response time"], ("P2", "deploy/rollback.lua"))
        self.assertEqual(found["jobs that wait"], ("P1", "incident/queue-depth.lua"))
        self.assertEqual(found["provider api"][0], "P2")
        plays = [play for play in self.next(done) if "high-" not in play and "disk" not in play]
        self.assertEqual(plays, ["incident/queue-depth.lua", "deploy/rollback.lua"])

    def test_that_nobody_could_be_told_is_said_and_is_no_failure(self):
        done = self.opsrun(*PLAY, env={"TEAM_HOOK": "http://127.0.0.1:1/hook"})
        self.expect(done, out=["not told: nobody behind 'team' could be told", "suggested severity"], absent=["FAILED"])


class KilledBetween(AssessTest):

    def test_after_kill_minus_nine_resume_ends_with_the_page(self):
        self.app("state", {"delay": 0.5, "paths": ["/health"]})
        process = self.start(*PLAY)
        seen = wait_until(lambda: [r for r in self.app("requests") if r["path"] == "/health"])
        process.kill()
        process.communicate()
        self.assertTrue(seen)
        self.app("state", {"delay": 0})
        done = self.opsrun("resume", self.run_ids()[-1])
        self.expect(done, out=["suggested severity", "told +team the assessment"])
        self.assertEqual(len(self.hooked()), 1)


for case in (health.Whole, health.Broken):      # imported for its helpers, not to be played again
    for name in [name for name in vars(case) if name.startswith("test_")]:
        delattr(case, name)

if __name__ == "__main__":
    main()
