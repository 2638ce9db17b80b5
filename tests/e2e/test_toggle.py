"""Playbook flags/toggle on the flags of the lab's application, in its database and by its own route: dry, refused, live, killed in between."""

import json
import os
import sys
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest, main  # noqa: E402
from killing import play_and_kill  # noqa: E402

PLAYBOOK = "flags/toggle.lua"
PLAY = ("play", PLAYBOOK, "-e", "lab", "-p", "calm=100ms", "-p", "poll=50ms", "-p", "within=10s")
KILL = (*PLAY, "-p", "action=kill", "-p", "why=searches fail")


class ToggleTest(LabTest):
    """Every test finds beta-upload disabled, dark-mode and new-search enabled, and none killed."""

    def setUp(self):
        super().setUp()
        self.lab.ask("UPDATE feature_flags SET enabled = name <> 'beta-upload', kill_switch = false")

    def flags(self):
        """{name: (enabled, kill_switch)}"""
        return {name: (enabled == "t", killed == "t") for name, enabled, killed
                in self.lab.ask("SELECT name, enabled, kill_switch FROM feature_flags")}

    def engine(self):
        with urllib.request.urlopen(self.lab.env["APP_URL"] + "/api/search", timeout=30) as answer:
            return json.load(answer)["engine"]

    def expect_flags(self, **changed):
        expected = {"beta-upload": (False, False), "dark-mode": (True, False), "new-search": (True, False)}
        self.assertEqual(self.flags(), {**expected, **{name.replace("_", "-"): value for name, value in changed.items()}})

    def test_a_dry_run_shows_the_switch_and_makes_none(self):
        for via, sent in (("db", 'UPDATE "feature_flags" SET "kill_switch"'), ("api", "POST .*/api/admin/feature-flags")):
            done = self.opsrun(*KILL, "-p", f"via={via}", "-n")
            self.expect(done, code=0, out=[r"new-search: enabled true, kill_switch false, rollout 25 %", "WOULD ASK Kill flag new-search",
                                           "WOULD set kill_switch of flag new-search to true", sent])
        self.expect_flags()
        self.expect(self.opsrun(*PLAY, "-n", "-p", "action=unkill"), code=0, out=["is false already: nothing to do"])

    def test_without_a_yes_nothing_is_switched(self):
        self.expect(self.opsrun(*KILL), code=5, text=["--answer agree-on-it=yes"], out=["changed +nothing"])
        terminal = self.terminal(*PLAY, "-p", "action=kill")
        terminal.wait_for(r"Why\?")
        terminal.wait_for(r"answer \[not said\]: ")
        terminal.send("they fail\n")
        terminal.wait_for("Kill flag new-search")
        terminal.wait_for(r"yes or no \[no\]: ")
        terminal.send("n\n")
        self.expect(terminal.finish(), code=5)
        self.expect_flags()

    def test_live_a_feature_is_killed_and_brought_back_and_who_did_it_why_and_for_how_long_is_known(self):
        done = self.opsrun(*KILL, "-p", "expires=1h", "--yes")
        print(f"live: {done.seconds:.2f} s")
        self.expect(done, code=0, out=["changed +set kill_switch of flag new-search to true", "OK +kill_switch of new-search true",
                                       "/api/search shows new-search off", "kill new-search, by --yes, because: searches fail; for 1h"])
        self.expect_flags(new_search=(True, True))
        self.assertEqual(self.engine(), "search")
        self.expect(self.opsrun("runs", "--standing"), out=[r"toggle.*T\d\d:\d\d +kill_switch of flag new-search is true"])
        run = self.run_ids()[-1]
        with open(os.path.join(self.home, "runs", run, "artifacts", "flag.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file), {"name": "new-search", "action": "kill", "who": "by --yes", "why": "searches fail", "expires": "1h"})
        self.expect(self.opsrun("undo", run, "--yes"), code=0, out=["changed +set kill_switch of flag new-search to false"])
        self.expect_flags()
        self.assertEqual(self.engine(), "new-search")

    def test_the_application_s_own_route_switches_the_same(self):
        for action, now, engine in (("disable", (False, False), "search"), ("enable", (True, False), "new-search"),
                                    ("kill", (True, True), "search"), ("unkill", (True, False), "new-search")):
            done = self.opsrun(*PLAY, "-p", "via=api", "-p", f"action={action}", "-p", "why=a drill", "--yes")
            self.expect(done, code=0, out=["changed +set "], absent=["transaction"])
            self.expect_flags(new_search=now)
            self.assertEqual(self.engine(), engine)

    def test_a_name_that_is_misspelt_changes_nothing_and_is_told_what_there_is(self):
        for via in ("db", "api"):
            done = self.opsrun(*KILL, "-p", f"via={via}", "-p", "name=new_search", "--yes")
            self.expect(done, code=1, text=["step 'Read the flag'", "no flag is named 'new_search'; there are: beta-upload, dark-mode, new-search"])
        self.expect_flags()

    def test_a_flag_that_two_rows_have_is_not_switched_at_all(self):
        self.lab.ask("CREATE TABLE IF NOT EXISTS twice AS SELECT * FROM feature_flags f, (VALUES (1), (2)) v")
        done = self.opsrun(*KILL, "-p", "table=public.twice", "--yes")
        self.expect(done, code=1, text=["step 'Switch it'", "2 rows of public.twice are named 'new-search', not one: none was changed"])
        self.assertEqual(self.lab.ask("SELECT count(*) FROM twice WHERE kill_switch")[0][0], "0")

    def test_a_feature_that_does_not_follow_is_put_back(self):
        done = self.opsrun(*PLAY, "-p", "name=beta-upload", "-p", "action=enable", "-p", "why=release", "-p", "observe_on=beta-upload",
                           "-p", "within=300ms", "--yes", "--undo-on-failure")
        self.expect(done, code=8, text=["step 'See the application follow'"], out=["done +take back", "told +oncall"])
        self.expect_flags()

    def test_a_dead_database_or_application_fails_the_step_by_name(self):
        for via, env in (("db", {"DATABASE_URL": "postgres://ops:nobody@127.0.0.1:1/app"}), ("api", {"APP_URL": "http://127.0.0.1:1"})):
            done = self.opsrun(*KILL, "-p", f"via={via}", "--yes", env=env)
            self.expect(done, code=1, text=["step 'Read the flag'", "connection refused"], out=["changed +nothing"])
        done = self.opsrun(*KILL, "--yes", "-p", "within=300ms", env={"SITE_URL": "http://127.0.0.1:1"})
        self.expect(done, code=1, text=["step 'See the application follow'"], out=["changed +set kill_switch"])
        self.expect_flags(new_search=(True, True))
        self.expect(self.opsrun("undo", self.run_ids()[-1], "--yes"), code=0)
        self.expect_flags()

    def test_killed_on_either_side_of_the_switch_resume_makes_it_once_and_undo_takes_it_back(self):
        for via in ("db", "api"):
            for happened in (None, lambda: self.flags()["new-search"][1]):
                with self.subTest(via, made=happened is not None):
                    run, was_killed = play_and_kill(self, (*KILL, "-p", f"via={via}", "--yes"), 1, happened)
                    self.assertTrue(was_killed)
                    self.expect(self.opsrun("resume", run, "--yes", "--stale-ok"), code=0, out=["OK +kill_switch of new-search true"])
                    self.expect_flags(new_search=(True, True))
                    self.expect(self.opsrun("undo", run, "--yes"), code=0)
                    self.expect_flags()


if __name__ == "__main__":
    main()
