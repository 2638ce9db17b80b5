"""Clocks beside the steps, on real time: a reminder while a command runs, a resume that goes on with it."""

import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import main, wait_until  # noqa: E402
from author import AuthorTest  # noqa: E402

BOOK = """playbook { title = "Trial", params = { go = { type = "path" } } }
step("Begin", function(p)
  note("begun")
  clock("Remind", { every = "100ms" }, function(tick) note("reminder %d", tick.number) end)
end)
step("Wait", function(p)
  wait_until("told to go", { every = "50ms", within = "30s" }, function() return files.stat(p.go) ~= nil end)
end)
"""


class Clock(AuthorTest):

    def strikes(self):
        """Strikes in the journals of the only run, however it stands."""
        ids = self.run_ids()
        return [r["number"] for r in self.journal(ids[0]) if r["type"] == "clock.strike"] if ids else []

    def test_it_strikes_while_a_step_waits_and_ends_with_the_run(self):
        go, path = self.path("go"), self.write("trial.lua", BOOK)
        process = self.start("play", path, "-e", "lab", "-p", f"go={go}")
        self.assertTrue(wait_until(lambda: len(self.strikes()) >= 3))
        self.write("go", "")
        out, err = process.communicate(timeout=20)
        self.assertEqual(process.returncode, 0, err)
        self.assertIn("reminder 3", out.decode())
        self.assertEqual(self.strikes(), list(range(1, len(self.strikes()) + 1)))

    def test_a_run_that_was_killed_goes_on_with_its_clock(self):
        go, path = self.path("go"), self.write("trial.lua", BOOK)
        process = self.start("play", path, "-e", "lab", "-p", f"go={go}")
        self.assertTrue(wait_until(lambda: len(self.strikes()) >= 2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        before = len(self.strikes())
        process = self.start("resume", self.run_ids()[0])
        self.assertTrue(wait_until(lambda: len(self.strikes()) >= before + 2))
        self.write("go", "")
        out, err = process.communicate(timeout=20)
        self.assertEqual(process.returncode, 0, (out, err))
        self.assertEqual(self.strikes(), list(range(1, len(self.strikes()) + 1)))
        self.assertNotIn("begun", out.decode())          # the step that began it is over
        keys = [(r["step"], r["attempt"], r["branch"], r["ordinal"]) for r in self.journal(self.run_ids()[0])
                if r["type"] == "effect.end"]
        self.assertEqual(len(keys), len(set(keys)))

    def test_its_changes_pass_the_gate_under_a_key_of_their_own(self):
        text = ('step("Begin", function()\n'
                'clock("Mark", { at = "100ms" }, function() files.write(p_path, "x") end)\n'
                'wait_until("marked", { every = "50ms", within = "10s" }, function() return files.stat(p_path) ~= nil end)\n'
                'end)\n').replace("p_path", f'"{self.path("mark")}"')
        header = f'playbook {{ title = "Trial", uses = {{ files = {{ "{self.room}" }} }} }}\n'
        self.expect(self.play(text, header=header), code=0, out=["1  Mark", f"changed +write {self.path('mark')}"])
        begin = self.last("effect.begin")[0]
        self.assertEqual((begin["step"], begin["ordinal"]), ("begin.clock-1", 1))

    def test_what_policy_refuses_ends_the_clock_and_is_left_open(self):
        done = self.step(f'clock("Mark", {{ at = "50ms" }}, function() files.write("{self.path("mark")}", "x") end)\nsleep "300ms"',
                         header='playbook { title = "Trial" }\n')
        self.expect(done, code=0, out=["failed and ends: .*uses.files", "open +clock 'Mark': failed and ended"])
        self.assertFalse(os.path.exists(self.path("mark")))

    def test_a_reminder_stands_apart_from_the_lines_of_the_step(self):
        done = self.step('clock("Remind", { at = "100ms" }, function() note("one") note("two") end)\n'
                         'note("before") shell.read("sleep 0.5") note("after")')
        self.expect(done, code=0)
        self.order(done, "before", r"\d  Remind\n +clock, number 1, after 0s\n +one\n +two\n", "after")

    def test_a_dry_run_shows_it_once(self):
        done = self.step('clock("Remind", { every = "100ms", to = "14:00" }, function() note("struck") end) shell.read("sleep 0.3")',
                         "-e", "lab", "-n")
        self.expect(done, code=0, out=[r"would start a clock beside the steps: Remind \(every 100ms, to 14:00\)"], absent=["struck"])

    def test_what_is_no_time_fails_the_step_at_its_line(self):
        self.expect(self.step('clock("Remind", { at = "soon" }, function() end)'), code=1,
                    err=["trial.lua:3: clock 'Remind': at: 'soon' is no moment"])

    def test_ctrl_c_ends_it_at_once(self):
        path = self.write("trial.lua", BOOK)
        process = self.start("play", path, "-e", "lab", "-p", "go=/nowhere")
        self.assertTrue(wait_until(lambda: len(self.strikes()) >= 1))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
        self.assertEqual(process.returncode, 130)


if __name__ == "__main__":
    main()
