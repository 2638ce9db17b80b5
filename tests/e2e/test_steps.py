"""Steps as an author writes them: api.md's own example, results, groups, options, the course of a run."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import HEADER, AuthorTest  # noqa: E402
from harness import OPSRUN, ROOT, main  # noqa: E402

EXAMPLE = '''--- Database connection exhaustion: see who holds the connections, free the idle ones, watch the pool recover.
---@usage opsrun play incident/db-exhaustion.lua -e production -p idle=10m
local postgres = require "postgres"

playbook {
  title    = "Database connection exhaustion",
  kind     = "incident",                                  -- incident | routine | monitor | change
  severity = "high",   respond = "5m",                    -- critical | high | medium | low (P0–P3); incidents only
  params   = {
    db      = { type = "sql",      default = "primary", help = "connection, as named in the environment" },
    idle    = { type = "duration", default = "5m",      help = "terminate sessions idle longer than this" },
    healthy = { type = "percent",  default = 80,        help = "the pool counts as recovered below this" },
    pool    = { type = "string",   optional = true,     help = "container to restart if the pool stays full" },
  },
  uses     = { shell = { "docker restart" }, notify = { "team" } },   -- connections of params count as used
  calls    = { "scale/connection-pool.lua" },
  limits   = { sessions = 200 },
  tell     = { team = "warning", oncall = "critical" },   -- who hears how it ended, whatever happens
}

step("Count connections", function(p)
  local pool = postgres.connections(p.db)
  show(pool.by_state)
  check("connections used", pool.percent, { unit = "%", above = { warning = 80, critical = 95 } })
end)

local idle = step("Find idle sessions", function(p)
  return postgres.idle_sessions(p.db, { longer_than = p.idle })
end)

step("Terminate idle sessions", function(p)
  local sessions = idle()
  if #sessions == 0 then return skip("no session has been idle longer than %s", p.idle) end
  show(sessions)
  confirm("Terminate %d sessions idle longer than %s on %s?", #sessions, p.idle, p.db)
  postgres.terminate(p.db, sessions)
end)

step("Watch the pool recover", function(p)
  wait_until("connections below " .. p.healthy .. " %", { every = "1s", within = "5m" }, function()
    return postgres.connections(p.db).percent < p.healthy
  end)
  check("connections used", postgres.connections(p.db).percent, { unit = "%", above = { warning = 80, critical = 95 } })
end)
'''


class Example(AuthorTest):
    """The contract's own playbook runs, word for word."""

    def test_it_is_checked_rehearsed_refused_and_played(self):
        self.lab.break_it("db-exhaustion", settle=2)
        path = self.write("example.lua", EXAMPLE)
        self.expect(self.opsrun("check", path), code=0, out=["nothing to report"])
        before = self.lab.sessions()
        dry = self.opsrun("play", path, "-e", "lab", "-n", "-p", "idle=1s")
        self.expect(dry, code=0, out=["WOULD ASK Terminate", "WOULD terminate 20 sessions",
                                      "4 steps: 2 read for real, 1 planned, 1 undetermined"])
        self.expect(self.opsrun("play", path, "-e", "lab", "-p", "idle=1s"), code=5,
                    out=["oncall (was not told|how it ended)"],
                    err=["--answer terminate-idle-sessions=yes"])
        self.assertEqual(self.lab.sessions(), before)
        done = self.opsrun("play", path, "-e", "lab", "-p", "idle=1s", "--yes")
        self.expect(done, code=0, out=["OK +connections used"])
        self.assertLess(self.lab.percent(), 80)
        again = self.opsrun("play", path, "-e", "lab", "-p", "idle=5m")
        self.expect(again, code=0, out=["skipped: no session has been idle longer than 5m"])


class Output(AuthorTest):

    def test_what_stderr_is_told_comes_behind_the_summary_when_both_are_one_file(self):
        book = self.write("books/trial.lua", HEADER + 'step("Try", function() shell.run { "false" } end)\n')
        path = self.path("both")
        with open(path, "wb") as both:
            done = subprocess.run([OPSRUN, "play", book, "-e", "lab"], stdin=subprocess.DEVNULL, stdout=both, stderr=both,
                                  env=self.environ(), cwd=ROOT, check=False)
        with open(path, encoding="utf-8") as both:
            lines = both.read().splitlines()
        self.assertEqual(done.returncode, 1, lines)
        self.assertRegex(lines[-2], r"^ +opsrun log \S+$")
        self.assertRegex(lines[-1], r"^opsrun: step 'Try', trial.lua:2: 'false' exited with 1$")


class Results(AuthorTest):

    def test_a_handle_gives_what_the_step_returned_and_the_journal_keeps_it(self):
        done = self.play('''
local found = step("Find", function()
  return { rows = sql "primary":query("SELECT 9007199254740993 AS id, NULL AS nothing"), wait = "5m" }
end)
step("Use", function() note("id %s of %d row", found().rows[1].id, #found().rows) end)
''')
        self.expect(done, code=0, out=["id 9007199254740993 of 1 row"])
        self.assertEqual(self.kept("find"), {
            "rows": {"@list": [{"id": 9007199254740993}], "with": {"columns": ["id", "nothing"], "count": 1}}, "wait": "5m"})

    def test_values_with_units_are_kept_as_what_they_are(self):
        header = HEADER.replace("uses", 'params = { d = { type = "duration", default = "90s" },'
                                ' s = { type = "size", default = "4kb" } }, uses')
        done = self.play('local v = step("V", function(p) return { d = p.d, s = p.s } end)\n'
                         'step("W", function() note("%s %s", v().d + 30, v().s * 2) end)', header=header)
        self.expect(done, code=0, out=["2m 8kb"])
        self.assertEqual(self.kept("v"), {"d": {"@duration": 90}, "s": {"@size": 4096}})

    def test_the_result_of_a_skipped_step_skips_who_asks_for_it(self):
        done = self.play('local a = step("A", function() skip("nothing there") end)\n'
                         'step("B", function() a() fail("not reached") end)\n'
                         'step("C", function() note("goes on") end)')
        self.expect(done, code=0, out=["skipped: nothing there", "skipped: step 'A' was skipped", "goes on"])

    def test_from_runs_a_needed_reading_step_first_and_refuses_a_changing_one(self):
        text = ('local a = step("A", function() return sql "primary":value("SELECT 7") end)\n'
                'step("B", function() note("a is %s", a()) end)')
        done = self.play(text, "--from", "b")
        self.expect(done, code=0, out=["a is 7"])
        self.order(done, " 1  A", " 2  B")
        text = text.replace('return sql "primary":value("SELECT 7")',
                            f'shell.run({{ "touch", "{self.path("made")}" }}) return 7')
        self.expect(self.play(text, "--from", "b"), code=1, text=["step 'A', run first", "only reads", r"trial\.lua:2"])
        self.assertFalse(os.path.exists(self.path("made")))

    def test_a_step_cannot_ask_for_its_own_result_nor_one_beside_it(self):
        self.expect(self.play('local a\na = step("A", function() a() end)'), code=1,
                    text=["step 'A' has not ended yet", r"trial\.lua:3"])
        text = ('local h = {}\ngroup("G", { together = true }, function()\n'
                '  h[1] = step("A", function() return h[2]() end)\n'
                '  h[2] = step("B", function() return 2 end)\nend)')
        self.expect(self.play(text), code=1, text=["step 'B' has not ended yet", r"trial\.lua:4"])

    def test_a_step_inside_a_step_runs_at_once_under_its_number(self):
        done = self.play('step("Roll out", function()\n  for _, share in ipairs { 5, 25, 25 } do\n'
                         '    step("stages/" .. share, function() note("at %d", share) end)\n  end\n'
                         '  note("all there")\nend)')
        self.expect(done, code=0)
        self.order(done, r"1\.1  stages/5", "at 5", r"1\.2  stages/25", r"1\.3  stages/25", "all there")
        self.assertEqual([r["step"] for r in self.last("step.start")],
                         ["roll-out", "stages-5", "stages-25", "stages-25.2"])

    def test_a_step_inside_a_step_that_fails_fails_both(self):
        done = self.play('step("Outer", function()\n  step("Inner", function() fail("no") end)\n'
                         '  note("not reached")\nend)\nstep("After", function() end)')
        self.expect(done, code=1, text=[r"trial\.lua:3.*no"], absent=["not reached", "After"])


class Groups(AuthorTest):

    def test_side_by_side_each_steps_lines_stay_together_and_time_is_shared(self):
        steps = "".join(f'  step("S{i}", function() note("{i} begins") sleep("{500 - 100 * i}ms")'
                        f' note("{i} ends") end)\n' for i in range(3))
        done = self.play(f'group("All", {{ together = true }}, function()\n{steps}end)')
        self.expect(done, code=0)
        self.order(done, r"1\.3  S2", "2 begins", "2 ends", r"1\.2  S1", "1 begins", "1 ends", r"1\.1  S0")

    def test_the_first_failure_stops_what_runs_beside_it_unless_keep_going(self):
        text = ('group("G", { together = true%s }, function()\n  step("A", function() fail("broken") end)\n'
                '  step("B", function() sleep("300ms") note("b came to its end") end)\nend)\n'
                'step("C", function() note("never here") end)')
        self.expect(self.play(text % ""), code=1, out=["cancelled", "stopped because another one beside it failed"],
                    err=["step 'A', trial.lua:3: broken"], absent=["b came to its end", "never here"])
        self.expect(self.play(text % ", keep_going = true"), code=1, out=["b came to its end"],
                    err=["broken"], absent=["never here"])

    def test_keep_going_in_order_runs_the_rest_of_the_group(self):
        self.expect(self.play('group("G", { keep_going = true }, function()\n  step("A", function() fail("one") end)\n'
                              '  step("B", function() note("b is there") end)\nend)'), code=1, out=["b is there"])

    def test_a_group_is_tried_again_as_a_whole_while_it_changed_nothing(self):
        text = ('local n = { 0 }\ngroup("G", { retry = { times = 2, after = "10ms" } }, function()\n'
                '  step("A", function() %s end)\n'
                '  step("B", function() n[1] = n[1] + 1 if n[1] < 3 then fail("try %%d", n[1]) end end)\nend)')
        done = self.play(text % 'note("again")')
        self.expect(done, code=0, out=[r"A \(attempt 3\)"])
        touched = f'shell.run {{ "touch", "{self.path("x")}" }}'
        self.expect(self.play(text % touched), code=1, text=["try 1"], absent=["attempt 2"])

    def test_a_group_whose_condition_does_not_hold_is_skipped_aloud(self):
        done = self.play('local a\ngroup("G", { when = "critical" }, function()\n'
                         '  a = step("A", function() fail("no") end)\nend)\n'
                         'step("B", function() a() fail("no") end)')
        self.expect(done, code=0, out=["skipped: no check is critical", "skipped: step 'A' was skipped"])


class Options(AuthorTest):

    def test_when_is_a_boolean_a_function_of_results_or_a_verdict(self):
        done = self.play('''
local n = step("N", function() return sql "primary":value("SELECT 3") end)
step("Never", { when = false }, function() fail("no") end)
step("Many", { when = function() return n() > 5 end }, function() fail("no") end)
step("Few", { when = function() return n() < 5 end }, function() note("few it is") end)
step("Look", function() check("load", 7, { above = { warning = 5, critical = 9 } }) end)
step("Warned", { when = "warning" }, function() note("warned it is") end)
step("Critical", { when = "critical" }, function() fail("no") end)''')
        self.expect(done, code=0, out=["few it is", "warned it is", "no check is critical"])
        self.assertEqual(len(re.findall("skipped: its condition does not hold", done.out)), 2)

    def test_the_last_value_of_a_check_decides(self):
        done = self.play('step("A", function() check("x", 9, { above = { critical = 5 } }) end)\n'
                         'step("B", function() check("x", 1, { above = { critical = 5 } }) end)\n'
                         'step("C", { when = "critical" }, function() fail("no") end)')
        self.expect(done, code=0, out=["no check is critical", "DONE "])

    def test_needs_skips_aloud_and_never_passes(self):
        header = HEADER.replace("uses", 'params = { pool = { type = "string", optional = true } }, uses')
        done = self.step('note("pool %s", p.pool)', opts='{ needs = { "pool" } }, ', header=header)
        self.expect(done, code=0, out=["skipped: parameter 'pool' is not given"])
        done = self.step('note("pool %s", p.pool)', "-p", "pool=api", opts='{ needs = { "pool" } }, ', header=header)
        self.expect(done, code=0, out=["pool api"])

    def test_a_timeout_ends_the_step_and_names_it(self):
        done = self.step('sleep("30s")', opts='{ timeout = "200ms" }, ')
        self.expect(done, code=1, err=["step 'Try' took longer than its timeout of 200ms", r"trial\.lua:2"])
        self.assertLess(done.seconds, 5)

    def test_a_step_is_tried_again_only_while_it_changed_nothing(self):
        made = self.path("made")
        opts = '{ retry = { times = 2, after = "10ms" }%s }, '
        body = 'sql "primary":query("SELECT 1/0")'
        self.expect(self.step(body, opts=opts % ""), code=1, out=[r"Try \(attempt 3\)"])
        body = f'shell.run {{ "touch", "{made}" }} {body}'
        self.expect(self.step(body, opts=opts % ""), code=1, err=["not tried again"], absent=["attempt 2"])
        self.expect(self.step(body, opts=opts % ", idempotent = true"), code=1, out=[r"attempt 3"])

    def test_a_no_in_an_optional_step_declines_it_and_the_run_goes_on(self):
        text = ('step("A", { optional = true }, function() confirm("Really?") note("not reached") end)\n'
                'step("B", function() note("goes on") end)')
        for words in ((), ("--answer", "a=no"), ("--no-input",)):
            self.expect(self.play(text, *words), code=0, out=["declined", "goes on", "open +step 'A' was declined"], absent=["not reached"])

    def test_mistaken_options_are_found_at_load(self):
        for opts, said in (('when = "critcal"', "did you mean 'critical'"), ("whn = true", "did you mean 'when'"),
                           ('timeout = "soon"', "is no duration"), ("retry = 3", "expected {times = 3"),
                           ('needs = { "pol" }', "'pol', which is no parameter"), ('id = "a b"', "is no id"),
                           ('optional = "yes"', "expected true or false")):
            path = self.write("books/trial.lua", HEADER + f'step("X", {{ {opts} }}, function() end)')
            for words in (("play", path, "-e", "lab"), ("check", path)):
                self.expect(self.opsrun(*words), code=3, text=[re.escape(said), r"trial\.lua:2"])


if __name__ == "__main__":
    main()
