"""What a playbook keeps between runs."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import main  # noqa: E402
from author import AuthorTest  # noqa: E402

COUNT = 'local n = state():update("n", function(v) return (v or 0) + 1 end) note("run %d", n)\n'
SHARED = 'playbook { title = "Trial", uses = { state = { "alerts" } } }\n'


class State(AuthorTest):

    def test_a_value_set_in_one_run_is_there_in_the_next(self):
        self.expect(self.step(COUNT), code=0, out=["run 1"])
        self.expect(self.step(COUNT), code=0, out=["run 2"])

    def test_what_a_failed_step_set_is_not_kept(self):
        self.expect(self.step(COUNT + 'fail("no")'), code=1, out=["run 1"])
        self.expect(self.step(COUNT), code=0, out=["run 1"])

    def test_a_step_sees_what_it_set_itself(self):
        self.expect(self.step('state():set("a", 1) note("is %s", state():get("a"))'), code=0, out=["is 1"])

    def test_nil_forgets_and_get_gives_the_default(self):
        self.step('state():set("a", 1)')
        done = self.step('state():set("a", nil) note("is %s", state():get("a", "gone"))')
        self.expect(done, code=0, out=["is gone"])

    def test_in_a_dry_run_later_steps_see_it_and_it_is_dropped(self):
        done = self.play('step("A", function() state():set("a", 7) end)\n'
                         'step("B", function() note("is %s", state():get("a")) end)\n', "-n")
        self.expect(done, code=0, out=["is 7"])
        self.expect(self.step('note("is %s", state():get("a", "unset"))'), code=0, out=["is unset"])
        self.assertFalse(os.path.exists(os.path.join(self.home, "state")) and os.listdir(os.path.join(self.home, "state")))

    def test_a_shared_state_needs_uses_and_is_seen_by_another_playbook(self):
        body = 'step("Set", function() state "alerts":set("at", 5) end)\n'
        self.expect(self.play(body), code=5, out=["uses.state"])
        self.expect(self.play(body, header=SHARED), code=0)
        other = self.write("other.lua", 'playbook { title = "Other" }\n'
                           'step("Get", function() note("at %s", state "alerts":get("at")) end)\n')
        self.expect(self.opsrun("play", other, "-e", "lab"), code=0, out=["at 5"])

    def test_environments_do_not_share(self):
        self.step(COUNT)
        done = self.step(COUNT, *self.environment('return { label = "x" }'))
        self.expect(done, code=0, out=["run 1"])

    def test_checks_become_a_series(self):
        body = 'check("load", %s)\nlocal s = state():series("load")\nnote("%%d before, last %%s", #s, s[#s] and s[#s].value)'
        self.expect(self.step(body % "1.5"), code=0, out=["0 before"])
        self.expect(self.step(body % "2"), code=0, out=["1 before, last 1.5"])
        self.expect(self.step(body % "3", "-e", "lab", "-n"), code=0, out=["2 before, last 2"])
        self.expect(self.step(body % "4"), code=0, out=["2 before, last 2"])

    def test_what_is_no_data_or_holds_a_secret_is_refused_by_name(self):
        self.expect(self.step('state():set("f", function() end)'), code=1, out=["an argument is no plain data"])
        where = self.lab_environment("params = {}")
        done = self.step('state():set("s", p.t)', *where, "-p", "t=env:TOKEN", env={"TOKEN": "a long enough token"},
                         header='playbook { title = "Trial", params = { t = { type = "secret" } } }\n')
        self.assertNotIn("a long enough token", self.everything())
        self.assertIn(done.code, (0, 1), done)

    def everything(self):
        text = ""
        for place, _, names in os.walk(self.home):
            for name in names:
                with open(os.path.join(place, name), encoding="utf-8", errors="replace") as file:
                    text += file.read()
        return text

    def test_twenty_runs_at_once_lose_no_count(self):
        path = self.write("count.lua", 'playbook { title = "Count" }\nstep("Count", function()\n'
                          'state():update("n", function(v) return (v or 0) + 1 end)\nend)\n')
        runs = [self.start("play", path, "-e", "lab") for _ in range(20)]
        codes = [run.communicate()[0] is not None and run.returncode for run in runs]
        self.assertEqual(codes, [0] * 20)
        with open(os.path.join(self.home, "state", os.listdir(os.path.join(self.home, "state"))[0]), encoding="utf-8") as file:
            self.assertEqual(json.load(file)["values"]["n"], 20)


if __name__ == "__main__":
    main()
