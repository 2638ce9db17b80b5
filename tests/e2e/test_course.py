"""The course of a step: checks, what is shown, waiting, side by side, try; and mistakes, told at the author's line."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import HEADER, AuthorTest  # noqa: E402
from harness import main  # noqa: E402

FAILING = 'sql "primary":query("SELECT 1/0")'


class Checks(AuthorTest):

    def test_limits_give_ok_warning_critical_unknown_and_the_worst_stands_first(self):
        done = self.step('''
check("low", 3, { above = { warning = 5, critical = 9 } })
check("middle", 7, { above = { warning = 5, critical = 9 }, unit = "%" })
check("gone", nil)
check("free", 2, { below = { warning = 5, critical = 1 } })
check("age", p.age, { above = { critical = "1h" } })
check("range", 5, { between = { 1, 9 } })
check("word", "on", { expect = "on" })
check("high", 10, { above = { warning = 5, critical = 9 } })
note("the step goes on")''', header=HEADER.replace(
            "uses", 'params = { age = { type = "duration", default = "2h" } }, uses'))
        self.expect(done, code=1, out=[r"OK +low 3 +\(warning above 5, critical above 9\)", "WARNING +middle 7 %",
                                       "UNKNOWN +gone no value", "WARNING +free 2", "CRITICAL +age 2h", "OK +range 5",
                                       "OK +word on", "the step goes on", "DONE, a check is critical.*exit 1"])
        self.order(done, "checks +CRITICAL", "CRITICAL", "WARNING")
        self.assertEqual({r["name"]: r["verdict"] for r in self.last("check")}["age"], "critical")

    def test_warnings_exit_0_unless_fail_on(self):
        body = 'check("x", 7, { above = { warning = 5 } })'
        self.expect(self.step(body), code=0, out=["DONE, with warnings"])
        self.expect(self.step(body, "--fail-on", "warning"), code=1)
        self.expect(self.step(body, "--fail-on", "critical"), code=0)
        critical = 'check("x", 7, { above = { critical = 5 } })'
        self.expect(self.step(critical, "-n"), code=0)
        self.expect(self.step(critical, "-n", "--fail-on", "critical"), code=1)

    def test_or_fail_ends_the_step_and_missing_decides_about_nothing(self):
        self.expect(self.step('check("x", 7, { above = { critical = 5 }, or_fail = "too much" }) note("no")'),
                    code=1, err=[r"trial\.lua:3: too much"], absent=[r"^    no$"])
        self.expect(self.step('check("x", nil, { missing = "critical" })'), code=1, out=["CRITICAL +x no value"])

    def test_a_named_threshold_of_the_header(self):
        header = 'playbook { title = "T", thresholds = { disk = { unit = "%", above = { warning = 80 } } } }\n'
        self.expect(self.step('check("disk /", 85, "disk")', header=header), code=0, out=["WARNING +disk / 85 %"])
        self.expect(self.step('check("disk /", 85, "dsk")', header=header), code=1, err=["did you mean 'disk'"])

    def test_verdict_is_returned(self):
        self.expect(self.step('note("it is %s", check("x", 7, { above = { warning = 5 } }))'), out=["it is warning"])


class Shown(AuthorTest):

    def test_rows_lists_tables_texts_and_values_with_units(self):
        header = HEADER.replace("uses", 'params = { l = { type = "list", of = "duration", default = { "90s", "2h" } } }, uses')
        done = self.step('''
show({ { name = "a", size = 10 }, { name = "bb", size = 2 } }, { title = "files", columns = { "size", "name" } })
show({ one = 1, two = "b" })
show(p.l)
show({})
show("two\\nlines")
note("%s %s %d", nil, { 1, 2 }, 7)
note("100%")''', header=header)
        self.expect(done, code=0, out=["files:\n    size  name\n      10  a\n       2  bb\n    one  1\n    two  b\n"
                                       r"    1m30s\n    2h\n    \(none\)\n    two\n    lines\n    – 1, 2 7\n    100%\n"])

    def test_text_is_neither_cut_nor_wrapped_off_a_terminal(self):
        done = self.step('note(("word "):rep(200) .. "end") show({ { text = ("x"):rep(900) } })')
        self.assertIn("word " * 200 + "end\n", done.out)
        self.assertIn("x" * 900, done.out)

    def test_artifacts_land_in_the_run_also_in_a_dry_run(self):
        body = '''local rows = sql "primary":query("SELECT 1 AS id, 'a,\\"b' AS text UNION ALL SELECT 2, NULL ORDER BY 1")
note("at %s", artifact("rows.csv", rows)) artifact("rows.json", rows) artifact("text.txt", "plain")'''
        for words in ((), ("-n",)):
            done = self.step(body, *words)
            self.expect(done, code=0)
            folder = os.path.dirname(re.search("at (.*)/rows.csv", done.out).group(1) + "/x")
            with open(f"{folder}/rows.csv", encoding="utf-8") as file:
                self.assertEqual(file.read(), 'id,text\n1,"a,""b"\n2,\n')
            with open(f"{folder}/rows.json", encoding="utf-8") as file:
                self.assertEqual([row["id"] for row in json.load(file)], [1, 2])

    def test_quiet_shows_failures_and_the_summary_only(self):
        text = ('step("Fine", function() note("hidden") check("ok one", 1, { above = { critical = 5 } }) end)\n'
                'step("Bad", function() check("bad one", 9, { above = { warning = 5 } }) fail("why") end)')
        done = self.play(text, "-q")
        self.expect(done, code=1, out=["bad one", "why", "FAILED"], absent=["hidden", r"\d  Fine"])
        loud = self.play('step("A", function() sql "primary":value("SELECT 42") end)', "-v")
        self.expect(loud, code=0, out=["read .*SELECT 42"])


class Course(AuthorTest):

    def test_fail_skip_and_finish(self):
        self.expect(self.step('fail("disk %s is full", "/var")'), code=1, err=[r"trial\.lua:3: disk /var is full"])
        done = self.play('step("A", function() finish("all is well") end)\nstep("B", function() fail("no") end)')
        self.expect(done, code=0, out=["done: all is well", "DONE ", "finished +all is well"], absent=[r"  B\n"])
        done = self.play('step("A", function() step("In", function() finish("early") end) fail("no") end)')
        self.expect(done, code=0, out=["finished +early"])

    def test_try_catches_failed_effects_and_fail_only(self):
        done = self.step(f'''
local value, why, code = try(function() return {FAILING} end)
note("%s: %s (%s)", value, why, code)
note("%s", select(2, try(function() fail("mine") end)))
note("%s", try(function() return "through" end))''')
        self.expect(done, code=0, out=[r"–: 'primary': division by zero.*\(22012\)", "mine", "through"])
        for inside in ("local x = nil x.y = 1", "nosuch()", 'confirm("Sure?")', 'sql "nosuch":query("SELECT 1")',
                       "error('typo')"):
            done = self.step(f'try(function() {inside} end) note("caught")')
            self.assertNotEqual(done.code, 0, done)
            self.expect(done, absent=["caught"])

    def test_parallel_and_each_keep_their_order_and_stop_at_the_first_failure(self):
        done = self.step('''
local got = parallel { { "slow", function() sleep("200ms") return "a" end }, { "fast", function() return "b" end } }
note("%s", got)
note("%s", each({ 3, 1, 2 }, { limit = 2 }, function(n, i) sleep(n * 0.02) return n * 10 + i end))''')
        self.expect(done, code=0, out=["    a, b\n    31, 12, 23\n"])
        done = self.step('each({ 1, 2 }, function(n) if n == 1 then fail("first") end sleep("20s") end)')
        self.expect(done, code=1, err=["first"])
        self.assertLess(done.seconds, 10)
        done = self.step('local got, bad = each({ 1, 2, 3 }, { keep_going = true }, function(n)\n'
                         ' if n == 2 then fail("second") end return n end)\n'
                         'note("%s %s %s", got[1], got[3], bad[2].message)')
        self.expect(done, code=0, out=["1 3 second"])

    def test_wait_until_returns_the_first_true_value_or_fails_in_time(self):
        done = self.step('local n = 0 note("got %s", wait_until("three", { every = "20ms", within = "9s" }, function()\n'
                         f' n = n + 1 if n == 2 then {FAILING} end return n >= 3 and n end))')
        self.expect(done, code=0, out=["three: true after", "got 3"])
        self.assertEqual([r["polls"] for r in self.last("wait")], [3])
        done = self.step('wait_until("never", { every = "20ms", within = "100ms" }, function() end)')
        self.expect(done, code=1, err=[r"trial\.lua:3: 'never' did not become true within"])
        done = self.step('wait_until("x", { within = "1s" }, function() shell.run { "touch", "/nowhere" } end)')
        self.expect(done, code=1, err=["only reads are allowed"])

    def test_the_deadline_ends_the_run_with_124(self):
        done = self.play('step("A", function() always("tidy", function() note("tidied") end) sleep("60s") end)',
                         "--deadline", "300ms")
        self.expect(done, code=124, text=["tidied", "deadline of 300ms"])

    def test_from_until_and_skip_choose_the_steps(self):
        text = "".join(f'step("{n}", function() note("plays {n}") end)\n' for n in "ABCD")
        done = self.play(text, "--from", "b", "--until", "d", "--skip", "c")
        self.expect(done, code=0, out=["plays B", "skipped: by --skip", "plays D"], absent=["plays A", "plays C"])
        self.expect(self.play(text, "--from", "nosuch"), code=2, err=["no step has the id 'nosuch'", "a, b, c, d"])


class Mistakes(AuthorTest):
    """Each names what was called and the author's own line, never a line of ours."""

    MISTAKES = (
        ('check("x", "7", { above = { warning = 5 } })', "a string cannot be compared"),
        ('check("x", 7, { above = 5 })', "above: expected {warning"),
        ('check("x", 7, { abov = { warning = 5 } })', "did you mean 'above'"),
        ('check("x", nil, { missing = "critcal" })', "none of ok, warning"),
        ('show("x", { titel = "y" })', "did you mean 'title'"),
        ('note("%d", "x")', "note: bad argument #2 to 'format'"),
        ('return note("%d", "x")', "note: bad argument #2 to 'format'"),
        ('local s = ("%d"):format("x")', "bad argument #2 to 'format'"),
        ('artifact("../x", "y")', "is no file name"),
        ('artifact("x.json", { f = function() end })', "a function cannot be written as JSON"),
        ('wait_until("x", { every = "1s" }, function() end)', "'within' is missing"),
        ('wait_until("x", { evry = "1s", within = "1s" }, function() end)', "did you mean 'every'"),
        ('sleep("soon")', "expected duration, got 'soon'"),
        ("each({ 1 }, { limit = 0 }, function() end)", "limit: expected a whole number"),
        ("parallel { 1 }", "item 1: expected {name, function}"),
        ("try(5)", "expected a function"),
        ("attempt()", "expected a function"),
        ('ensure("x", { is = note, make = note, bak = note })', "did you mean 'back'"),
        ('confirm { "x", typ = "y" }', "unknown field 'typ'"),
        ('sql "primary":qery("x")', "did you mean ':query'"),
        ('return sql "primary":query("SELECT nope")', "42703"),
        ('local n = require("postgres").terminate("primary", nil)', "postgres.terminate: attempt to get length"),
        ('step("In", { whn = 1 }, function() end)', "did you mean 'when'"),
        ("local x = p.nope", "'nope' is no parameter"),
        ("p.x = 1", "cannot be assigned"),
        ("string.x = 1", "belongs to opsrun"),
        ('table.sort({ 2, 1 }, function(a, b) sleep("1s") return a < b end)', "cannot wait inside 'table.sort': read first"),
        ("nosuch()", "undeclared global 'nosuch'"),
        ("local x = nil; x.y = 1", "attempt to index a nil value"),
    )

    def test_they_fail_the_step_at_the_authors_line(self):
        for body, said in self.MISTAKES:
            with self.subTest(body):
                done = self.step(f"-- line 3\n{body}")
                self.expect(done, code=1, err=[r"step 'Try', trial\.lua:4: .*"], text=[re.escape(said)],
                            absent=[r"runtime\.", r"stdlib\.", "0x", "bug"])

    def test_check_finds_a_changes_result_used_bare_in_a_condition(self):
        path = self.write("books/trial.lua", HEADER + 'step("A", function()\n  local r = shell.run { "touch", "x" }\n'
                          '  if r then note("always") end\n  if r.code == 0 then note("right") end\nend)')
        self.expect(self.opsrun("check", path), code=3, out=[r"trial\.lua:4: the result of 'run' is used bare", "1 finding"])

    def test_pairs_is_ordered_and_nothing_shows_an_address(self):
        done = self.step('local t = {} for k in pairs({ b = 1, a = 2, [2] = 3, [1] = 4, c = 5 }) do t[#t + 1] = k end\n'
                         'note("%s", t) show(tostring({}) .. tostring(note) .. ("%s"):format({}))')
        self.expect(done, code=0, out=["    1, 2, a, b, c\n"], absent=["0x"])


if __name__ == "__main__":
    main()
