"""The way back: ensure, undo, always, settle, attempt, asserted on the server."""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import HEADER, AuthorTest  # noqa: E402
from harness import main  # noqa: E402


def switch(name, value):
    return f'''sql "primary":exec("UPDATE feature_flags SET enabled = {value} WHERE name = '{name}'")'''


def ensure(name, more="", make=None):
    return f'''ensure("{name} is on", {{
    is = function() return sql "primary":value("SELECT enabled FROM feature_flags WHERE name = '{name}'") end,
    make = function() {make or switch(name, "true")} end,
    back = function() {switch(name, "false")} end, {more} }})'''


class Way(AuthorTest):
    """Flag 'beta-upload' is off and 'dark-mode' is on before each test."""

    def setUp(self):
        super().setUp()
        self.lab.ask("UPDATE feature_flags SET enabled = (name <> 'beta-upload')")
        self.lab.ask("DELETE FROM feature_flags WHERE name LIKE 'trial%'")

    def pending(self):
        return self.opsrun("status").out


class Ensure(Way):

    def test_what_it_made_stays_when_the_run_ends_well(self):
        done = self.play(f'step("A", function() local h = {ensure("beta-upload")} note("ours: %s", h.ours) end)')
        self.expect(done, code=0, out=["changed .*enabled = true", "ours: true"])
        self.assertTrue(self.flag("beta-upload"))

    def test_already_so_is_not_ours_and_is_left_alone(self):
        done = self.play(f'step("A", function() {ensure("dark-mode")} end)\nstep("B", function() fail("no") end)',
                         "--undo-on-failure")
        self.expect(done, code=1, out=["dark-mode is on: already so, not ours"], absent=["Taking back"])
        self.assertTrue(self.flag("dark-mode"))

    def test_it_is_taken_back_when_the_run_fails(self):
        text = f'step("A", function() {ensure("beta-upload")} end)\nstep("B", function() fail("no") end)'
        self.expect(self.play(text, "--undo-on-failure"), code=8, out=["Taking back", "take back: beta-upload is on"])
        self.assertFalse(self.flag("beta-upload"))
        self.expect(self.play(text), code=1, out=["not undone +take back: beta-upload is on"])
        self.assertTrue(self.flag("beta-upload"))
        self.assertIn("take back: beta-upload is on", self.pending())

    def test_lasts_run_is_taken_back_at_the_end_and_standing_never(self):
        more = 'lasts = "run"'
        done = self.play(f'step("A", function() {ensure("beta-upload", more)} end)\nstep("B", function() note("b") end)')
        self.expect(done, code=0)
        self.order(done, "enabled = true", r"\n    b\n", "At the end", "enabled = false")
        self.assertFalse(self.flag("beta-upload"))
        more = 'lasts = "standing"'
        self.expect(self.play(f'step("A", function() {ensure("beta-upload", more)} fail("no") end)', "--undo-on-failure"),
                    code=1)
        self.assertTrue(self.flag("beta-upload"))

    def test_back_takes_it_back_once(self):
        done = self.play(f'step("A", function() local h = {ensure("beta-upload")} h.back() end)\n'
                         'step("B", function() fail("no") end)', "--undo-on-failure")
        self.expect(done, code=1)
        self.assertEqual(len(re.findall("changed .*enabled = false", done.out)), 1, done)
        self.assertFalse(self.flag("beta-upload"))

    def test_not_so_after_it_was_made_fails_and_a_half_made_change_is_taken_back(self):
        made = "sql \"primary\":exec(\"INSERT INTO feature_flags VALUES ('trial', true)\")"
        done = self.play(f'step("A", function() {ensure("beta-upload", make=made)} end)', "--undo-on-failure")
        self.expect(done, code=8, text=["'beta-upload is on' is not so after it was made", r"trial\.lua:2"])
        self.assertIn("changed  exec primary: UPDATE", done.out)

    def test_confirm_asks_first_and_a_no_changes_nothing(self):
        text = f'step("A", function() {ensure("beta-upload", "confirm = true")} end)'
        self.expect(self.play(text), code=5, err=["--answer a=yes"])
        self.assertFalse(self.flag("beta-upload"))
        self.expect(self.play(text, "--answer", "a=yes"), code=0, out=[r"beta-upload is on\? yes"])
        self.assertTrue(self.flag("beta-upload"))


class Stack(Way):

    LAST_FIRST = f'''
step("One", function() undo("undo one", function() note("takes one back") end) {switch("beta-upload", "true")} end)
step("Two", function() always("always two", function() note("tidies two") end) end)
step("Three", function() undo("undo three", function() {switch("beta-upload", "false")} end) fail("broken") end)'''

    def test_on_failure_always_runs_and_undo_only_when_asked_for(self):
        done = self.play(self.LAST_FIRST)
        self.expect(done, code=1, out=["At the end, whatever happened", "tidies two", "not undone +undo three"],
                    absent=["takes one back"])
        self.assertTrue(self.flag("beta-upload"))

    def test_undo_on_failure_works_the_stack_off_last_first(self):
        done = self.play(self.LAST_FIRST, "--undo-on-failure")
        self.expect(done, code=8, out=["FAILED, TAKEN BACK"])
        self.order(done, "1. undo three", "2. always two", "3. undo one", "enabled = false", "tidies two", "takes one back")
        self.assertFalse(self.flag("beta-upload"))
        self.assertEqual([(r["number"], r["ok"]) for r in self.last("undo.done")], [(3, True), (2, True), (1, True)])

    def test_on_success_only_the_always_run(self):
        done = self.play(self.LAST_FIRST.replace('fail("broken")', ""))
        self.expect(done, code=0, out=["At the end\n", "tidies two"], absent=["takes one back"])

    def test_a_terminal_is_asked_once_with_the_list(self):
        for answer, code in (("y\n", 8), ("n\n", 1)):
            self.lab.ask("UPDATE feature_flags SET enabled = (name <> 'beta-upload')")
            terminal = self.terminal("play", self.write("books/trial.lua", HEADER + self.LAST_FIRST), "-e", "lab")
            terminal.wait_for("Take back what this run did")
            terminal.wait_for("yes or no")
            terminal.send(answer)
            self.expect(terminal.finish(), code=code)
            self.assertEqual(self.flag("beta-upload"), code == 1)

    def test_an_undo_that_fails_is_told_and_the_others_still_run(self):
        text = self.LAST_FIRST.replace(switch("beta-upload", "false"), 'shell.run { "false" }')
        done = self.play(text, "--undo-on-failure")
        self.expect(done, code=9, out=["FAILED undo three: 'false' exited with 1", "tidies two", "takes one back"])

    def test_an_always_that_fails_after_a_good_run_says_why(self):
        done = self.play('step("A", function() always("tidy", function() shell.run { "false" } end) end)')
        self.expect(done, code=9, out=["FAILED tidy", "error +.*'false' exited with 1"], err=["'false' exited with 1"])

    def test_settle_keeps_what_was_done_so_far(self):
        text = self.LAST_FIRST.replace('step("Two"', 'step("Settle", function() settle() end)\nstep("Two"')
        done = self.play(text, "--undo-on-failure")
        self.expect(done, code=8, out=["undo three"], absent=["takes one back"])

    def test_what_was_skipped_or_refused_is_taken_back_too(self):
        text = ('step("A", function() undo("back", function() note("took it back") end) ' + switch("beta-upload", "true") +
                ' end)\nstep("B", function() confirm("Go on?") end)')
        done = self.play(text, "--undo-on-failure")
        self.expect(done, code=8, out=["took it back"])
        self.expect(self.play(text), code=5, absent=["took it back"])

    def test_undo_can_ask_and_change_but_is_no_step(self):
        text = ('step("A", function() undo("back", function() confirm("Sure?") ' + switch("beta-upload", "false") +
                ' end) ' + switch("beta-upload", "true") + ' fail("x") end)')
        done = self.play(text, "--undo-on-failure", "--yes")
        self.expect(done, code=8, out=["Sure"])
        self.assertFalse(self.flag("beta-upload"))


class Attempt(Way):

    INSERT = '''sql "primary":exec("INSERT INTO feature_flags (name) VALUES ('trial')")'''
    DELETE = '''undo("drop it", function() sql "primary":exec("DELETE FROM feature_flags WHERE name = 'trial'") end)'''

    def test_on_failure_what_it_did_is_taken_back_at_once(self):
        done = self.play(f'''
step("A", function()
  undo("outer", function() note("outer undone") end)
  local ok, why = attempt(function() {self.DELETE} {self.INSERT} {self.INSERT} end)
  note("%s: %s", ok, why)
end)''')
        self.expect(done, code=0, out=["false: .*duplicate key.*23505"], absent=["outer undone"])
        self.assertIsNone(self.flag("trial"))

    def test_on_success_it_stays_and_belongs_to_the_run(self):
        text = (f'step("A", function() note("%s", attempt(function() {self.DELETE} {self.INSERT} end)) end)\n'
                'step("B", function() %s end)')
        self.expect(self.play(text.replace("() %s end", "() end")), code=0, out=["true"])
        self.assertIsNotNone(self.flag("trial"))
        self.lab.ask("DELETE FROM feature_flags WHERE name = 'trial'")
        done = self.play(text.replace("() %s end", '() fail("later") end'), "--undo-on-failure")
        self.expect(done, code=8, out=["drop it"])
        self.assertIsNone(self.flag("trial"))

    def test_it_does_not_catch_typos_and_refusals(self):
        for inside in ("local x = nil x.y = 1", 'confirm("Sure?")'):
            done = self.play(f'step("A", function() attempt(function() {inside} end) note("caught") end)')
            self.assertNotEqual(done.code, 0)
            self.expect(done, absent=["caught"])


if __name__ == "__main__":
    main()
