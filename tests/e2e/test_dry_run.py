"""A dry run: reads are real, changes are shown and not made, and it says how true it was."""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import HEADER, AuthorTest  # noqa: E402
from harness import main  # noqa: E402

SWITCH = ('sql "primary":exec("UPDATE feature_flags SET enabled = NOT enabled WHERE name = $1",'
          ' { "dark-mode" })')


class DryRun(AuthorTest):

    def dry(self, text, *words, **more):
        """Rehearses, and asserts that the server, and the file a step would touch, are as before."""
        before = self.lab.ask("SELECT name, enabled FROM feature_flags ORDER BY 1")
        done = self.play(text, "-n", *words, **more)
        self.assertEqual(self.lab.ask("SELECT name, enabled FROM feature_flags ORDER BY 1"), before)
        self.assertFalse(os.path.exists(self.path("touched")), done)
        return done

    def touch(self):
        return f'shell.run {{ "touch", "{self.path("touched")}" }}'

    def test_reads_are_real_changes_and_messages_are_shown(self):
        done = self.dry(f'''
step("Read", function()
  note("%d flags", sql "primary":value("SELECT count(*) FROM feature_flags"))
  note("uid %s", shell.read({{ "id", "-u" }}).text)
  note("app %d", http "api":get("/health").status)
end)
step("Change", function()
  {SWITCH}
  {self.touch()}
  http "api":post("/nowhere", {{ json = {{ a = 1 }} }})
  notify "team" "it is done"
end)''', header=HEADER.replace("uses = {", 'uses = { notify = { "team" },'))
        self.expect(done, code=0, out=[
            "3 flags", r"uid \d+", "app 200", "WOULD .*UPDATE feature_flags", "WOULD .*touch /", "WOULD .*POST",
            "WOULD .*it is done", "2 steps: 1 read for real, 1 planned, 0 undetermined", "DRY RUN DONE",
            "would change", "next +opsrun play .*trial.lua -e lab"], absent=[r"\n    changed "])
        self.assertEqual([r["outcome"] for r in self.last("effect.end") if r["class"] == "change"], [])
        self.assertEqual(len(self.last("effect.planned")), 4)

    def test_looking_into_a_planned_result_ends_the_steps_preview_and_names_the_change(self):
        done = self.dry(f'''
step("Change", function()
  local r = {SWITCH}
  note("made it")
  note("%d rows", r.count)
  note("not reached")
end)
step("After", function() note("goes on") end)''')
        self.expect(done, code=0, out=["made it", r"planned: .*change that was not made: 'count'.*trial\.lua:4", "goes on"],
                    absent=["not reached"])
        for use in ("#r", "r()", 'r .. "x"', "r + 1", "r < 5", "for k in pairs(r) do end"):
            use = use if use.startswith("for") else f"local x = {use}"
            done = self.dry(f'step("C", function()\n  local r = {SWITCH}\n  {use}\n  note("not reached")\nend)')
            self.expect(done, code=0, out=["planned"], absent=["not reached"])

    def test_on_dry_promises_a_field(self):
        text = SWITCH.replace(" })", " }, { on_dry = { count = 1 } })")
        done = self.dry(f'step("C", function() local r = {text} note("%d row", r.count) end)')
        self.expect(done, code=0, out=["1 row"])

    def test_a_planned_result_passes_through_steps_as_planned(self):
        done = self.dry(f'local c = step("Change", function() return ({SWITCH}).count end)\n'
                        'step("Use", function() note("%d", c()) note("not reached") end)\n'
                        'step("Far", function() note("far") end)')
        self.expect(done, code=0, out=["needs the result of 'Change'", "far"], absent=["not reached"])

    def test_after_a_planned_change_checks_and_failures_are_undetermined(self):
        done = self.dry(f'''
step("Before", function() check("x", 9, {{ above = {{ critical = 5 }} }}) end)
step("Change", function() {SWITCH} end)
step("Check", function() check("y", 9, {{ above = {{ critical = 5 }}, or_fail = true }}) note("went on") end)
step("Failing", function() sql "primary":query("SELECT 1/0") end)
step("Author fails", function() fail("not what I expected") end)
step("If bad", {{ when = "critical" }}, function() note("x was critical before") end)
step("Last", function() note("last one") end)''')
        self.expect(done, code=0, out=[
            "CRITICAL +x 9", "UNDETERMINED +y 9.*would be CRITICAL now", "went on", "would fail now.*division by zero",
            "would fail now.*not what I expected", "x was critical before", "last one",
            "7 steps: 3 read for real, 1 planned, 3 undetermined"])

    def test_whether_a_check_is_critical_is_not_known_after_a_planned_change(self):
        done = self.dry(f'step("Change", function() {SWITCH} check("y", 9, {{ above = {{ critical = 5 }} }}) end)\n'
                        'step("If bad", { when = "critical" }, function() note("not reached") end)')
        self.expect(done, code=0, out=["undetermined: whether a check is critical"], absent=["not reached"])

    def test_a_typo_fails_also_after_a_planned_change(self):
        self.expect(self.dry(f'step("C", function() {SWITCH} local x = nil x.y = 1 end)'), code=1, err=[r"trial\.lua:2"])

    def test_a_caught_failure_does_not_enter_its_branch_after_a_planned_change(self):
        done = self.dry(f'''
step("Change", function() {SWITCH} end)
step("Try", function()
  local ok = try(function() return sql "primary":value("SELECT 1/0") end)
  note("not reached")
end)
step("Attempt", function()
  if not attempt(function() fail("x") end) then note("not reached") end
end)''')
        self.expect(done, code=0, out=["undetermined"], absent=["not reached"])
        done = self.dry('step("Try", function() local _, why = try(function() fail("before") end) note("got %s", why) end)')
        self.expect(done, code=0, out=["got before"])

    def test_a_planned_result_in_side_by_side_work_ends_the_preview(self):
        done = self.dry(f'step("C", function()\n  each({{ 1, 2 }}, function(n)\n    local r = {SWITCH}\n    return r.count\n'
                        '  end)\n  note("not reached")\nend)\nstep("D", function() note("goes on") end)')
        self.expect(done, code=0, out=["planned", "goes on"], absent=["not reached", "failed"])
        self.assertGreaterEqual(len(self.last("effect.planned")), 1)

    def test_no_waiting_one_sample_and_a_clock_that_moves(self):
        done = self.dry(f'''
step("Wait", function()
  local before = now()
  sleep("10m")
  note("%s", now() - before >= 600 and "moved" or "stood")
  note("got %s", wait_until("there", {{ every = "10s", within = "10m" }}, function() return 7 end))
  wait_until("ready", {{ every = "10s", within = "10m" }}, function() return false end)
end)''')
        self.expect(done, code=0, out=["moved", "got 7", "would wait until ready .not true now"])
        self.assertLess(done.seconds, 5)

    def test_gates_would_ask_and_count_as_yes(self):
        done = self.dry(f'''
step("Ask", function()
  confirm("Really?")
  confirm {{ "Sure?", id = "sure", type = "orders", impact = 7 }}
  {SWITCH}
end)
step("Hand", function() manual {{ "Call the vendor", required = true }} note("called") end)''', "--no-input")
        self.expect(done, code=0, out=[r"WOULD ASK Really\? .*gate ask", r"WOULD ASK Sure\? .*gate sure",
                                       "WOULD ASK Call the vendor .*gate hand"])

    def test_policy_speaks_in_the_rehearsal_too(self):
        done = self.dry('step("X", function() shell.run { "rm", "-rf", "/nowhere" } end)')
        self.expect(done, code=5, err=["'rm -rf /nowhere' is not in the playbook's uses.shell",
                                       r'uses = { shell = { "rm" } }'])
        header = 'playbook { title = "T", limits = { rows = 5 } }\n'
        spend = 'sql "primary":exec("DELETE FROM feature_flags", {}, { costs = { rows = 3 } })'
        done = self.dry(f'step("X", function() {spend} {spend} end)', header=header)
        self.expect(done, code=5, err=["over budget", "6 of at most 5 rows"])

    def test_an_unproved_read_is_refused_live_and_dry_and_nothing_is_sent(self):
        text = ('step("X", function()\n  sql "primary":query("UPDATE feature_flags SET enabled = false'
                ' RETURNING name")\nend)')
        self.expect(self.dry(text), code=5, text=[r"trial\.lua:3"])
        self.expect(self.play(text), code=5, text=[r"trial\.lua:3"])
        self.assertTrue(self.flag("dark-mode"))

    def test_undo_and_always_are_rehearsed_and_ensure_reads_for_real(self):
        text = f'''
step("Ensure", function()
  local h = ensure("beta upload is on", {{
    is = function() return sql "primary":value("SELECT enabled FROM feature_flags WHERE name = 'beta-upload'") end,
    make = function() sql "primary":exec("UPDATE feature_flags SET enabled = true WHERE name = 'beta-upload'") end,
    back = function() sql "primary":exec("UPDATE feature_flags SET enabled = false WHERE name = 'beta-upload'") end,
    lasts = "run", confirm = true }})
  always("tidy up", function() {self.touch()} end)
end)'''
        done = self.dry(text)
        self.expect(done, code=0)
        self.order(done, r"WOULD ASK beta upload is on\?", "WOULD .*enabled = true", "At the end", "WOULD touch",
                   "WOULD .*enabled = false", "nothing was changed")
        done = self.dry(text.replace("beta-upload", "dark-mode"))
        self.expect(done, out=["already so, not ours"], absent=["enabled = true WHERE"])

    def test_json_tells_the_same(self):
        done = self.dry(f'step("C", function(p) {SWITCH} check("x", 5, {{ above = {{ warning = 1 }} }}) end)', "--json")
        self.expect(done, code=0)
        self.assertEqual(len(self.events(done, "planned")), 1)
        end = self.events(done, "run.end")[0]
        self.assertEqual((end["dry"], end["code"], end["changed"] != []), (True, 0, True))
        check = end["checks"][0]
        self.assertEqual((check["name"], check["value"], check["verdict"], check["undetermined"]), ("x", 5, "warning", True))
        self.assertTrue(re.match(r"1 step: 0 read for real, 1 planned", end["fidelity"]))


if __name__ == "__main__":
    main()
