"""Runs that are gone on with: what is recorded is returned, what is in doubt is found out or asked, what changed
is refused. Counted on files and on the server."""

import os
import shutil
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import AuthorTest  # noqa: E402
from harness import main, wait_until  # noqa: E402


class Resume(AuthorTest):
    """`self.log` is a file that steps append lines to; a step may wait for `self.go`."""

    def setUp(self):
        super().setUp()
        self.out = self.path("out")
        os.makedirs(self.out)
        self.log, self.go = os.path.join(self.out, "log"), os.path.join(self.out, "go")
        self.header = (f'playbook {{ title = "Trial", uses = {{ files = {{ "{self.out}" }}, shell = {{ "sh" }} }}, '
                       'params = { n = { type = "integer", default = 1 } } }\n')

    def append(self, text):
        return f'files.append("{self.log}", {text} .. "\\n")'

    def wait(self):
        return (f'wait_until("told to go on", {{ every = "20ms", within = "60s" }}, '
                f'function() return files.stat("{self.go}") end)')

    def lines(self):
        try:
            with open(self.log, encoding="utf-8") as file:
                return file.read().split("\n")[:-1]
        except FileNotFoundError:
            return []

    def book(self, text):
        return self.write("books/trial.lua", self.header + text)

    def killed(self, text, *words, when=None):
        """Plays, kills with SIGKILL once `when()` (default: the log has a line 'now', and a wait behind it is on record),
        returns the run's id."""
        def at_the_wait():
            return "now" in self.lines() and ("wait_until" not in text or any(r["type"] == "waiting" for r in self.last()))
        process = self.start("play", self.book(text), "-e", "lab", *words)
        ready = wait_until(when or at_the_wait, within=20)
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate()
        self.assertTrue(ready, f"it did not come so far:\n{out.decode()}\n{err.decode()}")
        return self.run_ids()[-1]

    def let_go(self):
        with open(self.go, "w", encoding="ascii"):
            pass

    def resume(self, run="--last", *words):
        return self.opsrun("resume", run, *words)


class Killed(Resume):

    def test_finished_steps_return_their_value_and_no_recorded_change_is_made_again(self):
        run = self.killed(f'''
local first = step("First", function()
  {self.append('"first"')}
  return {{ at = now(), rows = sql "primary":query("SELECT 9007199254740993 AS n, NULL AS nothing, 'a' AS t"), big = 2^53 }}
end)
step("Second", function()
  local before = first()
  {self.append('"second " .. before.rows[1].n')}
  {self.append('"now"')}
  {self.wait()}
  {self.append('"columns " .. table.concat(before.rows.columns, ",") .. " " .. tostring(before.at)')}
end)
step("Third", function() {self.append('"third " .. first().rows[1].n')} end)
''')
        before = self.lines()
        self.assertEqual(["first", "second 9007199254740993", "now"], before)
        self.let_go()
        done = self.resume()
        self.expect(done, code=0, out=["RESUMES +1 of 3 steps are done; 3 changes were made before", "First +done before"])
        after = self.lines()
        self.assertEqual(before, after[:3])
        self.assertEqual(2, len(after) - 3)
        self.assertRegex(after[3], r"columns n,nothing,t \d\d\d\d-")
        self.assertEqual("third 9007199254740993", after[4])
        self.expect(self.resume(run), code=5, err=["cannot be resumed: it is done"])

    def test_a_step_that_had_changed_nothing_runs_again_and_reads_anew(self):
        self.killed(f'''
step("Look", function()
  note("look %s", #files.list("{self.out}"))
  if not files.stat("{self.out}/seen") then {self.wait()} end
end)
''', when=lambda: len(self.run_ids()) == 1 and any(r["type"] == "waiting" for r in self.last()))
        with open(os.path.join(self.out, "seen"), "w", encoding="ascii"):
            pass
        self.expect(self.resume(), code=0, out=["Look \\(attempt 2\\)", "look 1"])

    def test_what_was_read_before_the_last_change_is_returned_not_read_again(self):
        self.killed(f'''
step("Try", function()
  local there = files.stat("{self.out}/later") and "there" or "not there"
  {self.append('"now"')}
  {self.wait()}
  {self.append('there')}
end)
''')
        with open(os.path.join(self.out, "later"), "w", encoding="ascii"):
            pass
        self.let_go()
        self.expect(self.resume(), code=0)
        self.assertEqual(["now", "not there"], self.lines())

    def test_branches_side_by_side_go_on_in_the_order_they_were_over(self):
        self.killed(f'''
step("Try", function()
  local order = {{}}
  each({{ 3, 1, 2 }}, function(n)
    shell.read({{ "sleep", "0." .. n }})
    order[#order + 1] = n
    {self.append('"made " .. n')}
  end)
  {self.append('"now"')}
  {self.wait()}
  {self.append('table.concat(order, " ")')}
end)
''')
        self.let_go()
        self.expect(self.resume(), code=0)
        self.assertEqual(["made 1", "made 2", "made 3", "now", "1 2 3"], self.lines())

    def test_a_caught_failure_is_given_back_as_it_was(self):
        self.killed(f'''
step("Try", function()
  local value, why = try(function() return files.read("{self.out}/absent") end)
  {self.append('"now"')}
  {self.wait()}
  {self.append('tostring(value) .. ": " .. tostring(why ~= nil)')}
end)
''')
        with open(os.path.join(self.out, "absent"), "w", encoding="ascii"):
            pass
        self.let_go()
        self.expect(self.resume(), code=0)
        self.assertEqual(["now", "nil: true"], self.lines())

    def test_ways_back_of_finished_steps_are_there_again(self):
        self.killed(f'''
step("First", function()
  always("say bye", function() {self.append('"bye"')} end)
  undo("take first back", function() {self.append('"undone"')} end)
  {self.append('"first"')}
end)
step("Second", function()
  {self.append('"now"')}
  {self.wait()}
  fail("no")
end)
''')
        self.let_go()
        done = self.resume("--last", "--undo-on-failure")
        self.expect(done, code=8, out=["Taking back"])
        self.assertEqual(["first", "now", "undone", "bye"], self.lines())

    def test_called_playbooks_and_inner_steps_go_on_where_they_were(self):
        self.write("books/inner.lua", f'''playbook {{ title = "Inner", uses = {{ files = {{ "{self.out}" }} }} }}
step("One", function() {self.append('"inner one"')} return 7 end)
step("Two", function()
  {self.append('"now"')}
  {self.wait()}
  return 8
end)
''')
        self.header = self.header.replace("title", f'calls = {{ "{self.path("books/inner.lua")}" }}, title')
        self.killed(f'''
step("Call", function()
  local child = step("Child", function() {self.append('"child"')} return "c" end)
  local inner = call("{self.path("books/inner.lua")}", {{}})
  {self.append('"result " .. tostring(inner.result) .. " " .. child()')}
end)
''')
        self.let_go()
        self.expect(self.resume(), code=0)
        self.assertEqual(["child", "inner one", "now", "result 8 c"], self.lines())

    def test_checks_of_finished_steps_count_in_the_summary(self):
        self.killed(f'''
step("First", function() check("heat", 99, {{ unit = "C", above = {{ critical = 90 }} }}) end)
step("Second", function() {self.append('"now"')} {self.wait()} end)
''')
        self.let_go()
        self.expect(self.resume(), code=1, out=["CRITICAL +heat 99 C"])


class InDoubt(Resume):

    def cut(self, more=""):
        return self.killed(f'''
step("Cut", {more}function()
  shell.run({{ "sh", "-c", "echo now >>{self.log}; sleep 30" }})
  {self.append('"behind"')}
end)
''')

    def test_nobody_knows_7_and_the_flags_are_named_and_nothing_was_done(self):
        run = self.cut()
        self.expect(self.opsrun("status"), out=["in doubt", "in doubt: sh -c", f"opsrun resume {run}"])
        done = self.resume()
        number = next(r["n"] for r in self.last() if r["type"] == "effect.begin")
        self.expect(done, code=7, err=["nobody knows whether this happened: sh -c",
                                       f"--answer cut.outcome.{number}=happened or --answer cut.outcome.{number}=not"])
        self.assertEqual(["now"], self.lines())
        self.expect(self.resume("--last", "--answer", f"cut.outcome.{number}=perhaps"), code=2, err=["expected happened or not"])

    def test_an_answer_is_for_one_call_and_settles_no_other(self):
        run = self.cut()
        first = self.resume().outcome_gate()
        process = self.start("resume", run, "--answer", first + "=not")
        self.assertTrue(wait_until(lambda: len(self.lines()) == 2), "the change is made again")
        process.kill()
        process.communicate()
        again = self.resume("--last", "--answer", first + "=happened")
        self.expect(again, code=7, err=["nobody knows whether this happened: sh -c"])
        self.assertNotEqual(again.outcome_gate(), first)
        self.assertEqual(["now", "now"], self.lines())
        self.expect(self.resume("--last", "--answer", again.outcome_gate() + "=happened"), code=0)
        self.assertEqual(["now", "now", "behind"], self.lines())

    def test_answered_happened_it_is_not_made_again(self):
        self.cut()
        done = self.resume("--last", "--answer", self.resume().outcome_gate() + "=happened")
        self.expect(done, code=0, out=["happened, not made again: sh -c"])
        self.assertEqual(["now", "behind"], self.lines())

    def test_a_person_is_asked_on_a_terminal(self):
        self.cut()
        terminal = self.terminal("resume", "--last")
        terminal.wait_for("Did this happen\\? sh -c")
        terminal.wait_for("anything else to stop: ")
        terminal.send("happened\n")
        self.expect(terminal.finish(), code=0, text=["happened, not made again: .*sh -c"])
        self.assertEqual(["now", "behind"], self.lines())

    def test_happened_of_the_step_decides(self):
        self.cut(f'{{ happened = function() return files.stat("{self.log}") ~= nil end }}, ')
        self.expect(self.resume(), code=0, out=["happened, not made again", "by the playbook's `happened`"])
        self.assertEqual(["now", "behind"], self.lines())

    def test_a_sql_change_is_found_out_by_its_transaction(self):
        self.lab.ask("DELETE FROM feature_flags WHERE name LIKE 'trial%'")
        self.lab.ask("INSERT INTO feature_flags (name, enabled) VALUES ('trial', false)")
        self.killed('''
step("Cut", function()
  sql "primary":exec("UPDATE feature_flags SET enabled = NOT enabled FROM pg_sleep(1.5) WHERE name = 'trial'")
end)
''', when=lambda: self.run_ids() and any(r["type"] == "effect.begin" for r in self.last()))
        done = self.resume()
        self.expect(done, code=0)
        self.assertTrue(self.flag("trial"), "made once, or not at all and then once")

    def test_its_lost_result_stops_who_looks_into_it(self):
        self.killed(f'''
step("Cut", function()
  local answer = shell.run({{ "sh", "-c", "echo now >>{self.log}; sleep 30" }})
  note("it said %s", answer.text)
end)
''')
        done = self.resume("--last", "--answer", self.resume().outcome_gate() + "=happened")
        self.expect(done, code=1, err=["was done before the resume, its value was not kept"])

    def test_run_again_with_from_asks_for_accept(self):
        self.cut()
        self.expect(self.resume("--last", "--from", "cut"), code=5, err=["nobody knows whether this happened: sh -c"])


class Failed(Resume):

    def test_mended_it_goes_on(self):
        text = f'''
step("First", function() {self.append('"first"')} end)
step("Second", function() if not files.stat("{self.go}") then fail("not yet") end {self.append('"second"')} end)
'''
        self.expect(self.opsrun("play", self.book(text), "-e", "lab"), code=1, out=["next +opsrun resume"])
        self.expect(self.resume(), code=1)
        self.let_go()
        self.expect(self.resume(), code=0)
        self.assertEqual(["first", "second"], self.lines())

    def test_what_always_took_away_is_named_and_from_runs_it_again(self):
        text = f'''
step("Set up", function()
  {self.append('"up"')}
  always("tear down", function() {self.append('"down"')} end)
end)
step("Use", function() if not files.stat("{self.go}") then fail("not yet") end {self.append('"used"')} end)
'''
        self.expect(self.opsrun("play", self.book(text), "-e", "lab"), code=1)
        self.let_go()
        self.expect(self.resume(), code=5, err=["step 'Set up' cannot simply count as done: .* 'tear down' was done",
                                                "--from set-up runs it"])
        self.expect(self.resume("--last", "--from", "set-up"), code=0)
        self.assertEqual(["up", "down", "up", "used", "down"], self.lines())

    def test_reads_older_than_fresh_are_asked_about(self):
        text = f'''
local a = step("First", {{ fresh = "10ms" }}, function() return files.stat("{self.out}").path end)
step("Second", function() if not files.stat("{self.go}") then fail("not yet") end {self.append('a()')} end)
'''
        self.expect(self.opsrun("play", self.book(text), "-e", "lab"), code=1)
        self.let_go()
        self.expect(self.resume(), code=6, err=["What step 'First' found is .* old", "--stale-ok goes on; --from first"])
        self.assertEqual([], self.lines())
        self.expect(self.resume("--last", "--stale-ok"), code=0)


class Changed(Resume):

    TEXT = '''
step("First", function(p) {first} end)
step("Second", function() {wait} {second} end)
'''

    def setUp(self):
        super().setUp()
        self.run_id = self.killed(self.TEXT.format(first=self.append('"now"'), wait=self.wait(), second=self.append('"end"')))
        self.let_go()

    def change(self, first=None, second=None, header=None):
        text = self.TEXT.format(first=first or self.append('"now"'), wait=self.wait(), second=second or self.append('"end"'))
        self.write("books/trial.lua", (header or self.header) + text)

    def test_a_changed_playbook_is_refused_and_the_line_is_shown(self):
        self.change(second=self.append('"other"'))
        self.expect(self.resume(), code=5, err=["something changed since it began", r"line 4: was .*end.*, is .*other"])
        self.assertEqual(["now"], self.lines())

    def test_accept_goes_on_with_the_playbook_as_it_was(self):
        self.change(second=self.append('"other"'))
        self.expect(self.resume("--last", "--accept"), code=0)
        self.assertEqual(["now", "end"], self.lines())

    def test_edited_takes_a_playbook_that_agrees_with_the_journal(self):
        self.change(second=self.append('"other"'))
        self.expect(self.resume("--last", "--edited"), code=0)
        self.assertEqual(["now", "other"], self.lines())

    def test_edited_refuses_one_whose_recorded_calls_differ(self):
        for first in (self.append('"other"'), self.append('"now"') + " " + self.append('"more"'), "note('x')"):
            self.change(first=first)
            self.expect(self.resume("--last", "--edited"), code=5, err=["the journal has|by the journal"])
        self.assertEqual(["now"], self.lines())

    def test_a_changed_environment_is_refused_and_the_field_is_shown(self):
        words = self.lab_environment('label = "one"')
        shutil.rmtree(os.path.join(self.home, "runs"))
        os.remove(self.go)
        os.remove(self.log)
        text = self.TEXT.format(first=self.append('"now"'), wait=self.wait(), second=self.append('"end"'))
        process = self.start("play", self.book(text), *words)
        self.assertTrue(wait_until(lambda: "now" in self.lines() and any(r["type"] == "waiting" for r in self.last()), within=20))
        process.kill()
        process.communicate()
        self.let_go()
        self.lab_environment('label = "other"')
        self.expect(self.resume(), code=5, err=["something changed since it began", "environment label: was one, is other"])
        self.assertEqual(["now"], self.lines())
        self.expect(self.resume("--last", "--accept"), code=0)
        self.assertEqual(["now", "end"], self.lines())


class Held(Resume):

    def test_a_running_run_names_its_holder(self):
        process = self.start("play", self.book(f'step("Wait", function() {self.append(chr(34) + "now" + chr(34))} {self.wait()} end)\n'),
                             "-e", "lab")
        self.assertTrue(wait_until(lambda: "now" in self.lines(), within=30))
        done = self.resume(self.run_ids()[-1])
        self.expect(done, code=5, err=[f"is held by process {process.pid} on"])
        self.let_go()
        process.communicate()
        self.assertEqual(0, process.returncode)

    def test_lock_lets_one_run_into_an_environment(self):
        self.header = self.header.replace("title", "lock = true, title")
        process = self.start("play", self.book(f'step("Wait", function() {self.append(chr(34) + "now" + chr(34))} {self.wait()} end)\n'),
                             "-e", "lab")
        self.assertTrue(wait_until(lambda: "now" in self.lines(), within=30))
        again = self.path("books/trial.lua")
        self.expect(self.opsrun("play", again, "-e", "lab"), code=5, err=[f"process {process.pid} on", "--anyway plays beside it"])
        self.assertEqual(["now"], self.lines())
        self.let_go()
        self.expect(self.opsrun("play", again, "-e", "lab", "-n"), code=0)
        self.expect(self.opsrun("play", again, "-e", "lab", "--anyway"), code=0)
        process.communicate()
        self.expect(self.opsrun("play", again, "-e", "lab"), code=0)


class Later(Resume):
    """Suspended runs."""

    GATE = '''
step("Gate", function()
  local n = #files.list("{out}", {{ pattern = "*.old" }})
  confirm("Delete %d files?", n)
  {append}
end)
'''

    def suspended(self):
        text = self.GATE.format(out=self.out, append=self.append('"deleted"'))
        done = self.opsrun("play", self.book(text), "-e", "lab", "--suspend-at-gates")
        self.expect(done, code=6, err=["gate 'gate' has no answer yet: Delete 0 files\\?", "opsrun answer .* gate=yes"])
        return self.run_ids()[-1]

    def test_status_names_what_it_waits_for_and_an_answer_lets_resume_go_on(self):
        run = self.suspended()
        self.expect(self.opsrun("status"), out=["suspended", "waits for gate 'gate': Delete 0 files", f"opsrun answer {run} gate=yes"])
        self.expect(self.opsrun("answer", run, "gat=yes"), code=5, err=["does not wait for gate 'gat'", "it waits for: gate"])
        self.expect(self.opsrun("answer", run, "gate=yes"), code=0, out=["Delete 0 files", f"opsrun resume {run} goes on"])
        self.expect(self.opsrun("status"), out=["gate 'gate' was answered 'yes'"])
        self.expect(self.resume(run), code=0, out=["with opsrun answer"])
        self.assertEqual(["deleted"], self.lines())

    def test_an_answer_is_bound_to_what_was_shown(self):
        run = self.suspended()
        self.opsrun("answer", run, "gate=yes")
        with open(os.path.join(self.out, "a.old"), "w", encoding="ascii"):
            pass
        done = self.resume(run, "--suspend-at-gates")
        self.expect(done, code=6, err=["was given to 'Delete 0 files\\?', which is not what it asks now"])
        self.assertEqual([], self.lines())

    def test_a_no_is_a_no(self):
        run = self.suspended()
        self.opsrun("answer", run, "gate=no")
        self.expect(self.resume(run), code=5, err=["gate 'gate' was answered 'no' by"])
        self.assertEqual([], self.lines())

    def test_the_second_gate_of_a_name_stays_the_second_when_the_first_is_over(self):
        text = f'''
local function one(n)
  confirm {{ "Number %d?", n, id = "same" }}
  {self.append('"number " .. n')}
end
step("One", function() one(1) end)
step("Two", function()
  one(2)
  if not files.stat("{self.go}") then fail "not yet" end
end)
step("Three", function() one(3) end)
'''
        done = self.opsrun("play", self.book(text), "-e", "lab", "--answer", "same=yes", "--answer", "same.2=yes")
        self.expect(done, code=1, err=["not yet"])
        self.let_go()
        self.expect(self.resume("--last", "--answer", "same.3=yes"), code=0)
        self.assertEqual(["number 1", "number 2", "number 3"], self.lines())

    def test_pause_until_suspends_and_goes_on_when_the_time_has_come(self):
        text = f'''
step("Pause", function()
  local t = now() + 1
  pause_until(t)
  {self.append('"after"')}
end)
'''
        self.expect(self.opsrun("play", self.book(text), "-e", "lab"), code=6, err=["suspended until"])
        run = self.run_ids()[-1]
        self.expect(self.opsrun("status"), out=["waits until", f"opsrun resume {run}"])
        self.assertTrue(wait_until(lambda: self.resume(run).code == 0, within=30, every=0.3))
        self.assertEqual(["after"], self.lines())
        self.expect(self.opsrun("play", self.path("books/trial.lua"), "-e", "lab", "-n"), code=0, out=["would suspend the run until"])


class Undone(Resume):

    def test_undo_takes_back_what_a_killed_run_did_last_first(self):
        run = self.killed(f'''
step("First", function()
  {self.append('"first"')}
  undo("back first", function() {self.append('"back first"')} end)
end)
step("Second", function()
  {self.append('"second"')}
  undo("back second", function() {self.append('"back second"')} end)
  {self.append('"now"')}
  {self.wait()}
end)
''')
        self.expect(self.opsrun("undo", run), code=5, err=["gate 'undo' is closed", "--answer undo=yes"])
        self.assertEqual(["first", "second", "now"], self.lines())
        self.expect(self.opsrun("undo", run, "--yes"), code=0, out=["TAKEN BACK"])
        self.assertEqual(["first", "second", "now", "back second", "back first"], self.lines())
        self.expect(self.opsrun("undo", run, "--yes"), code=5, err=["what it did was taken back"])
        self.expect(self.resume(run), code=5, err=["what it did was taken back"])

    def test_undo_finds_out_by_is_what_was_cut_short_inside_an_ensure(self):
        for made, word in (("true", "happened: "), ("false", "did not happen: ")):
            run = self.killed(f"""
step("Put it up", function()
  ensure("the page is up", {{
    is = function() return files.stat("{self.out}/page") ~= nil end,
    make = function() shell.run {{ "sh", "-c", "{made} && touch {self.out}/page; echo now >>{self.log}; sleep 30" }} end,
    back = function() if files.stat("{self.out}/page") then files.remove("{self.out}/page") end end,
  }})
end)
""")
            done = self.opsrun("undo", run, "--yes")
            self.expect(done, code=0, out=[f"{word}sh -c", "TAKEN BACK"])
            self.assertFalse(os.path.exists(os.path.join(self.out, "page")))
            self.assertIn("undone", self.opsrun("runs").out)
            os.unlink(self.log)

    def test_undo_says_7_of_a_change_that_nothing_tells_of(self):
        run = self.killed(f"""
step("Send it", function()
  undo("take it back", function() {self.append('"back"')} end)
  shell.run {{ "sh", "-c", "echo now >>{self.log}; sleep 30" }}
end)
""")
        self.expect(self.opsrun("undo", run, "--yes"), code=7, out=["nobody knows whether this happened: sh -c"])

    def test_close_ends_it_and_wants_a_reason(self):
        run = self.killed(f'''step("A", function() {self.append('"now"')} {self.wait()} end)\n''')
        self.expect(self.opsrun("close", run), code=2, err=["--because is missing"])
        self.expect(self.opsrun("close", run, "--because", "by hand"), code=0)
        self.expect(self.opsrun("status"), out=["nothing is running"])
        self.expect(self.resume(run), code=5, err=["it was closed"])


class Standing(Resume):

    def test_what_stands_is_listed_until_undo_takes_it_back_also_of_a_run_that_is_done(self):
        flag = os.path.join(self.out, "flag")
        text = f'''
step("On", function()
  ensure("the flag is up", {{ lasts = "standing", expires = "1h",
    is = function() return files.stat("{flag}") ~= nil end,
    make = function() files.write("{flag}", "up") end,
    back = function() files.remove("{flag}") end }})
end)
'''
        self.expect(self.opsrun("play", self.book(text), "-e", "lab", "-n"), code=0)
        self.expect(self.opsrun("runs", "--standing"), code=0, out=["nothing stands"])
        self.expect(self.opsrun("play", self.book(text), "-e", "lab"), code=0)
        run = self.run_ids()[-1]
        self.expect(self.opsrun("runs", "--standing"), out=[f"{run} +lab .* the flag is up"], absent=["EXPIRED"])
        self.expect(self.opsrun("status"), out=["nothing is running"])
        self.expect(self.opsrun("undo", run, "--yes"), code=0)
        self.assertFalse(os.path.exists(flag))
        self.expect(self.opsrun("runs", "--standing"), out=["nothing stands"])

    def test_the_next_play_says_what_an_earlier_run_left(self):
        text = f'''
step("A", function() undo("lower it", function() {self.append('"low"')} end) {self.append('"now"')} {self.wait()} end)
'''
        run = self.killed(text)
        self.expect(self.opsrun("runs"), out=["left", f"{run} .*interrupted .* 1"])
        self.let_go()
        self.expect(self.opsrun("play", self.path("books/trial.lua"), "-e", "lab"), code=0,
                    err=[f"run '{run}' of this playbook did not end well and left 1 thing to take back", f"opsrun undo {run}"])


class Replayed(Resume):

    def test_replay_shows_the_same_bytes_twice_and_sends_nothing(self):
        run = self.killed(f'''
local a = step("First", function() {self.append('"first"')} check("x", 1) return math.random(1, 1000000) end)
step("Second", function() note("%s at %s", a(), now()) {self.append('"now"')} {self.wait()} end)
''')
        before = self.lines()
        one, two = self.opsrun("replay", run), self.opsrun("replay", run)
        self.expect(one, code=0, out=["REPLAY of", "changed +append", "the journal ends here"])
        self.assertEqual(one.out, two.out)
        self.assertEqual(before, self.lines())


class Overridden(Resume):

    def test_a_rule_is_set_aside_aloud_with_a_reason(self):
        self.header = 'playbook { title = "Trial", limits = { files = 1 } }\n'
        book = self.book(f'step("A", function() files.append("{self.log}", "x\\n", {{ costs = {{ files = 2 }} }}) end)\n')
        flags = ("--override", "uses.files", "--override", "limits.files")
        self.expect(self.opsrun("play", book, "-e", "lab"), code=5, err=["--override uses.files --because TEXT"])
        self.expect(self.opsrun("play", book, "-e", "lab", *flags), code=2, err=["--because is missing"])
        self.assertEqual([], self.lines())
        done = self.opsrun("play", book, "-e", "lab", *flags, "--because", "ticket 4711")
        self.expect(done, code=0, out=["OVERRIDDEN rule uses.files", "OVERRIDDEN rule limits.files", "open +rule .* because: ticket 4711"])
        self.assertEqual(["x"], self.lines())
        self.assertEqual(["ticket 4711"] * 2, [r["because"] for r in self.last("override")])


if __name__ == "__main__":
    main()
