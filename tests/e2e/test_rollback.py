"""Playbook deploy/rollback: a bad release of the lab's application behind a link, bad deployments of two
platforms; dry, refused, live, to one that is no better, with dead peers, killed in between."""

import json
import os
import shlex
import subprocess
import sys
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest, main  # noqa: E402
from killing import play_and_kill  # noqa: E402

PLAYBOOK = "deploy/rollback.lua"
PLAY = ("play", PLAYBOOK, "-e", "lab", "-p", "watch=300ms", "-p", "poll=200ms", "-p", "recover=30s")
AGREED = ("--yes", "--answer", "agree-on-it=v3")


class RollbackTest(LabTest):
    """Every test finds release v5 in place, which answers 500; v4 is no better."""

    scenario = "bad-release"

    def setUp(self):
        super().setUp()
        self.lab.break_it(self.scenario, settle=0)
        for line in self.lab.call("env").splitlines():
            name, value = line.removeprefix("export ").split("=", 1)
            self.lab.env[name] = shlex.split(value)[0].replace("$PATH", os.environ["PATH"])

    def get(self, path, base="APP_URL"):
        try:
            with urllib.request.urlopen(self.lab.env[base] + path, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def linked(self):
        return os.path.basename(os.readlink(self.lab.env["LAB_CURRENT"]))

    def served(self):
        """The release whose process answers, and whether it is well."""
        status, said = self.get("/health")
        return said["version"], status == 200


class Releases(RollbackTest):

    def test_a_dry_run_changes_nothing_and_shows_what_it_would_do(self):
        done = self.opsrun(*PLAY, "-n")
        print(f"dry run: {done.seconds:.2f} s")
        self.expect(done, code=0, out=["to go back to: v4, the newest before it; nobody verified it", "002_drop_legacy_column",
                                       "WOULD ASK Put app back from v5 to v4", "WOULD release v4 of app", "web1: ln -sfn",
                                       "web1: mv -fT", "plays deploy/verify.lua"])
        self.assertEqual((self.linked(), self.served()), ("v5", ("v5", False)))

    def test_a_migration_in_between_must_be_agreed_to_by_name(self):
        self.expect(self.opsrun(*PLAY, "-p", "target=v3", "--yes"), code=5, text=["agree-on-it=v3"])
        terminal = self.terminal(*PLAY, "-p", "target=v3")
        terminal.wait_for("Put app back from v5 to v3")
        terminal.wait_for("v3")
        terminal.send("no\n")
        self.expect(terminal.finish(), code=5)
        self.assertEqual((self.linked(), self.served()), ("v5", ("v5", False)))

    def test_live_it_goes_back_serves_again_and_next_time_knows_which_one_was_good(self):
        done = self.opsrun(*PLAY, "-p", "target=v3", *AGREED)
        print(f"live: {done.seconds:.2f} s")
        self.expect(done, code=0, out=["changed +release v3 of app", "OK +release that serves v3", "v3 of app is verified",
                                       "left open: Pause automatic deployment", "told +team how it ended"])
        self.assertEqual((self.linked(), self.served()), ("v3", ("v3", True)))
        self.lab.break_it("bad-release", settle=0)
        self.expect(self.opsrun(*PLAY, "-n"), code=0, out=["to go back to: v3, the newest before it that was verified"])

    def test_one_that_is_no_better_is_taken_back_and_on_call_hears_of_it(self):
        done = self.opsrun(*PLAY, "-p", "recover=10s", "--yes", "--answer", "agree-on-it=v4", "--undo-on-failure")
        self.expect(done, code=8, text=["See it serve", "app serves v4 and is well"], out=["done +take back: app serves v4", "told +oncall"])
        self.assertEqual((self.linked(), self.served()), ("v5", ("v5", False)))

    def test_what_cannot_be_gone_back_to_is_said_before_anybody_is_asked(self):
        self.expect(self.opsrun(*PLAY, "--yes", "-p", "target=v9"), code=1, text=["app has no release 'v9'"])
        self.expect(self.opsrun(*PLAY, "--yes", "-p", "target=v5"), code=1, text=["app serves v5 already"])

    def test_a_dead_database_or_host_fails_the_step_by_name(self):
        done = self.opsrun(*PLAY, *AGREED, env={"DATABASE_URL": "postgres://ops:nobody@127.0.0.1:1/app"})
        self.expect(done, code=1, text=["See what the database has learnt since", "connection refused"])
        config = os.path.join(self.home, "ssh_config")
        with open(config, "w", encoding="ascii") as file:
            file.write("Host *\n  HostName 127.0.0.1\n  Port 1\n")
        done = self.opsrun(*PLAY, *AGREED, env={"SSH_CONFIG": config})
        self.expect(done, code=1, text=["Look at the last releases"])
        self.assertEqual((self.linked(), self.served()), ("v5", ("v5", False)))


class Killed(RollbackTest):

    def is_up(self):
        """The release is whole: started, written down by who started it, and well."""
        up = subprocess.run(shlex.split(self.lab.env["LAB_APP_STATUS"]), stdin=subprocess.DEVNULL, check=False).returncode == 0
        try:
            return up and self.linked() == "v3" and self.served() == ("v3", True)
        except OSError:
            return False      # started, and not listening yet; or the one before went in the middle of its answer

    def test_killed_anywhere_in_the_release_a_resume_ends_with_the_old_one_serving(self):
        for number, happened in enumerate((lambda: self.linked() == "v3", self.is_up)):
            with self.subTest(number):
                if number > 0:
                    self.lab.break_it("bad-release", settle=0)
                self.home = os.path.join(self.home, f"kill-{number}")
                os.mkdir(self.home)
                run, _ = play_and_kill(self, (*PLAY, "-p", "target=v3", *AGREED), 1, happened)
                done = self.opsrun("resume", run, *AGREED, "--stale-ok")
                self.expect(done, code=0, out=["OK +release that serves v3", "v3 of app is verified"])
                self.assertEqual((self.linked(), self.served()), ("v3", ("v3", True)))

    def test_undo_puts_back_what_served_before(self):
        run, _ = play_and_kill(self, (*PLAY, "-p", "target=v3", *AGREED), 1, self.is_up)
        done = self.opsrun("undo", run, "--yes")
        self.expect(done, code=0, out=["done +take back: app serves v3"])
        self.assertEqual((self.linked(), self.served()), ("v5", ("v5", False)))


class Deployments(RollbackTest):
    scenario = "bad-deployment"

    def tell(self, **wish):
        base = self.lab.env["VERCEL_URL"]
        with urllib.request.urlopen(base + "/_lab/state", data=json.dumps(wish).encode(), timeout=20) as answer:
            return json.load(answer)

    def test_a_bad_deployment_is_rolled_back_and_the_site_serves_again(self):
        environment = self.environment()
        for name, site, platform, left in (("shop", "SHOP_URL", "vercel", "skipped: it was rolled back to dpl_0044"),
                                           ("docs", "DOCS_URL", "netlify", "left open: Pause automatic deployment")):
            self.assertEqual(self.get("/health", site)[0], 500)
            before = self.tell()[platform]["serving"]
            done = self.opsrun(*PLAY, "-p", f"service={name}", "-p", f"api={name}", *environment, "-n")
            self.expect(done, code=0, out=["Nobody looked for migrations between", f"WOULD release \\w+ of {name}", "rollback|restore"])
            self.assertEqual(self.tell()[platform]["serving"], before)
            done = self.opsrun(*PLAY, "-p", f"service={name}", "-p", f"api={name}", *environment, "--yes")
            self.expect(done, code=0, out=[f"changed +release \\w+ of {name}", "OK +status at /health healthy", left])
            status, said = self.get("/health", site)
            self.assertEqual((status, said["deployment"]), (200, self.tell()[platform]["serving"]))
            self.assertNotEqual(said["deployment"], before)
            again = self.opsrun(*PLAY, "-p", f"service={name}", "-p", f"api={name}", *environment, "--yes", "-p", f"target={before}",
                                "-p", "recover=4s", "--undo-on-failure")
            self.expect(again, code=8, out=["done +take back"])
            self.assertEqual(self.get("/health", site)[0], 200, "what was no better is gone again")

    def environment(self):
        """The lab's platforms, without the database and the parameters of the lab's own application."""
        room = os.path.join(self.home, "environments")
        os.makedirs(room)
        with open(os.path.join(room, "platforms.lua"), "w", encoding="utf-8") as file:
            file.write('''return {
              http = {
                vercel = { base = env "VERCEL_URL", bearer = secret.env "VERCEL_TOKEN" }, shop = { base = env "SHOP_URL" },
                netlify = { base = env "NETLIFY_URL", bearer = secret.env "NETLIFY_TOKEN" }, docs = { base = env "DOCS_URL" },
              },
              services = {
                shop = { vercel = "prj_lab", team = "team_lab", http = "vercel" }, docs = { netlify = "lab-site", http = "netlify" },
              },
              params = { version_at = "version", recover = "6s" },
            }''')
        return "--config", self.home, "-e", "platforms"


if __name__ == "__main__":
    main()
