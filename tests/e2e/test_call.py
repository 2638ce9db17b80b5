"""A playbook that calls another; something that must stay true; slices; bars."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import main  # noqa: E402
from author import AuthorTest  # noqa: E402

CALLED = """playbook { title = "Called", params = { n = { type = "integer" }, idle = { type = "duration", default = "5m" } },
  uses = { shell = { "touch" } } }
local first = step("Count", function(p) check("n", p.n, { above = { warning = 2 } }) return p.n * 2 end)
step("Use", function(p) return first() + 1 end)
"""


class Calling(AuthorTest):

    def call(self, body, called=CALLED, *words):
        self.write("playbooks/sub/called.lua", called)
        text = ('playbook { title = "Caller", calls = { "sub/called", "sub/unwritten.lua" } }\n'
                f'step("Call it", function()\n{body}\nend)\n')
        path = self.write("playbooks/caller.lua", text)
        return self.opsrun("play", path, "-e", "lab", *words, env={"OPSRUN_PATH": self.room + "/playbooks"})

    def test_its_steps_run_inside_the_calling_step_and_its_last_value_comes_back(self):
        done = self.call('local r = call("sub/called", { n = 3 }) note("%s %s %s", r.status, r.worst, r.result)')
        self.expect(done, code=0, out=[r"1\.1  Count", r"1\.2  Use", "done warning 7", "WARNING +n 3"])
        self.assertEqual(len(self.run_ids()), 1)

    def test_what_is_not_in_calls_is_not_played(self):
        done = self.call('call("sub/other")')
        self.expect(done, code=1, out=["'sub/other' is not in the header's calls", r"caller\.lua:3"])

    def test_a_playbook_still_to_be_written_fails_only_when_it_is_called(self):
        self.expect(self.call("note('fine')"), code=0)
        self.expect(self.call('call("sub/unwritten")'), code=4, out=["no playbook 'sub/unwritten.lua'"])

    def test_a_failing_step_of_the_called_one_fails_the_caller(self):
        called = 'playbook { title = "B" }\nstep("Break", function() fail("no good") end)\n'
        done = self.call('call("sub/called") note("went on")', called)
        self.expect(done, code=1, out=["no good"], absent=["went on"])

    def test_finish_in_the_called_one_ends_only_that(self):
        called = 'playbook { title = "B" }\nstep("End", function() finish("enough") end)\nstep("Never", function() end)\n'
        done = self.call('call("sub/called") note("went on")', called)
        self.expect(done, code=0, out=["enough", "went on"], absent=["Never"])

    def test_an_unknown_parameter_of_the_called_one_is_the_callers_mistake(self):
        done = self.call('call("sub/called", { m = 3 })')
        self.expect(done, code=1, out=["has no parameter 'm'"])

    def test_the_called_ones_own_uses_decide(self):
        called = ('playbook { title = "B" }\n'
                  'step("Touch", function() shell.run { "touch", "/nowhere/x" } end)\n')
        self.expect(self.call('call("sub/called")', called), code=5, out=["uses.shell"])

    def test_files_below_the_called_ones_own_paths_may_be_changed_and_no_others(self):
        called = ('playbook { title = "B", params = { dir = { type = "path" } } }\n'
                  'step("Write", function(p) files.write(p.dir .. "/made", "x") end)\n'
                  f'step("Write elsewhere", function() files.write("{self.room}/other", "x") end)\n')
        os.makedirs(self.path("mine"))
        done = self.call(f'call("sub/called", {{ dir = "{self.path("mine")}" }})', called)
        self.expect(done, code=5, out=[r"changed +write .*/mine/made", "uses.files"])
        self.assertTrue(os.path.exists(self.path("mine/made")))
        self.assertFalse(os.path.exists(self.path("other")))

    def test_a_dry_run_of_the_caller_is_one_of_the_called_one(self):
        called = CALLED + f'step("Touch", function() shell.run {{ "touch", "{self.room}/made" }} end)\n'
        done = self.call('note(call("sub/called", { n = 1 }).status)', called, "-n")
        self.expect(done, code=0, out=["WOULD touch", "planned"])
        self.assertFalse(os.path.exists(self.room + "/made"))

    def test_a_ring_of_calls_does_not_load(self):
        called = 'playbook { title = "B", calls = { "caller.lua" } }\nstep("x", function() end)\n'
        self.expect(self.call("note('x')", called), code=3, err=["would call itself"])


class Holding(AuthorTest):

    def test_hold_goes_on_when_it_stayed_true(self):
        done = self.step('hold("150ms", { every = "50ms" }, function() return true end) note("held")')
        self.expect(done, code=0, out=["held", "stayed so"])

    def test_hold_fails_with_the_first_look_too_many(self):
        done = self.step('hold("10s", { every = "20ms", tolerate = 1 }, function() return false end)')
        self.expect(done, code=1, out=["2 of 2 looks said no, 1 tolerated"])
        self.assertLess(done.seconds, 5)

    def test_a_dry_run_looks_once_and_does_not_wait(self):
        done = self.step('hold("10m", function() return true end)', "-e", "lab", "-n")
        self.expect(done, code=0, out=["would look"])
        self.assertLess(done.seconds, 5)

    def test_batches_counts_slices_also_when_nothing_is_returned(self):
        done = self.step('local seen = "" batches({ 1, 2, 3 }, 1, function(_, i) seen = seen .. i end) note("%s", seen)')
        self.expect(done, code=0, out=["123"])

    def test_batches_hands_out_slices_in_order(self):
        done = self.step('local n = batches({ 1, 2, 3, 4, 5 }, 2, function(s, i) return i .. ":" .. #s end)\n'
                         'note(n[1] .. " " .. n[2] .. " " .. n[3])')
        self.expect(done, code=0, out=["1:2 2:2 3:1"])

    def test_a_chart_draws_the_greatest_longest(self):
        done = self.step('chart("load", { { h = "a", l = 1 }, { h = "b", l = 10 } }, { x = "h", y = "l" })')
        self.expect(done, code=0, out=["load:", r"a  █+ 1\n", r"b  █{40} 10"])


if __name__ == "__main__":
    main()
