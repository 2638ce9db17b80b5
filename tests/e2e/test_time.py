"""Time on the real host: zones and their odd days, schedules, what is left, what is recorded."""

import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import main  # noqa: E402
from author import AuthorTest  # noqa: E402

MADRID = 'return { timezone = "Europe/Madrid" }'


class Times(AuthorTest):

    def say(self, *expressions, timezone=MADRID, words=()):
        body = "\n".join(f"note('%s', tostring({e}))" for e in expressions)
        done = self.step(body, *self.environment(timezone), *words)
        self.expect(done, code=0)
        return [r["text"] for r in self.last("note")]

    def test_the_gap_and_the_overlap_of_madrid_are_as_the_zone_file_says(self):
        self.assertEqual(
            self.say('time.parse("2026-03-29 02:30")', 'time.parse("2026-10-25 02:30"):format("%F %T %Z")',
                     'time.parse("2026-10-25T02:30:00+01:00"):format("%F %T %Z")',
                     'time.parse("2026-10-25T02:30:00+01:00") - time.parse("2026-10-25 02:30")',
                     'time.parse("2026-03-28 12:00") + "1d"', 'time.parse("2026-03-28 12:00"):add { days = 1 }',
                     'time.parse("2026-01-31"):add({ months = 1 }).date'),
            ["2026-03-29 03:30", "2026-10-25 02:30:00 CEST", "2026-10-25 02:30:00 CET", "1h",
             "2026-03-29 13:00", "2026-03-29 12:00", "2026-02-28"])

    def test_zones_of_half_hours_and_far_days(self):
        zone = 'return { timezone = "Australia/Lord_Howe" }'     # clocks move half an hour there
        self.assertEqual(
            self.say('time.parse("2026-04-05 01:45"):format "%z"', 'time.parse("2026-04-05 02:15"):format "%z"',
                     'time.parse("2026-10-04 02:15")', 'time.parse("2011-12-30", "Pacific/Apia").epoch',
                     timezone=zone)[:3],
            ["+1100", "+1030", "2026-10-04 02:45"])

    def test_a_window_parameter_is_half_open_and_hours_are_of_the_zone(self):
        header = 'playbook { title = "Trial", params = { w = { type = "window" } } }\n'
        body = ('note("%s %s %s", time.within(p.w.from, p.w), time.within(p.w.to - 1, p.w), time.within(p.w.to, p.w))\n'
                'note("%s", p.w.to - p.w.from)\n'
                'note("%s", time.within(time.parse("2026-07-01T20:30:00Z"), "22:00..06:00"))')
        done = self.step(body, *self.environment(MADRID), "-p", "w=2026-10-25", header=header)
        self.expect(done, code=0, out=["true true false", "1d1h", "true"])

    def test_what_is_no_time_is_caught_and_a_typo_is_not(self):
        done = self.step('local t, why, code = try(time.parse, "soon") note("%s: %s (%s)", t, why, code)', *self.environment(MADRID))
        self.expect(done, code=0, out=[r"'soon' is no time \(no time\)"])
        self.expect(self.step('time.parse("2026-11-21", "Europe/Madird")'), code=1, err=["no time zone 'Europe/Madird'"])
        self.expect(self.step('time.parse("yesterday")'), code=1, err=["use now\\(\\)"])

    def test_now_is_a_time_and_recorded_as_one(self):
        self.say("now().zone")
        record = [r for r in self.last("effect.end") if r["kind"] == "now"][0]
        self.assertEqual(sorted(record["value"]), ["@time", "zone"])

    def test_what_is_left_of_a_timeout_and_of_the_deadline(self):
        body = 'local l = time.left() note("left %s", l and l > 5 and l <= "10s")'
        self.expect(self.step('note("%s", time.left())'), code=0, out=["–"])
        self.expect(self.step(body, opts='{ timeout = "10s" }, '), code=0, out=["left true"])
        self.expect(self.step(body, "-e", "lab", "--deadline", "10s"), code=0, out=["left true"])
        self.expect(self.step(body, "-e", "lab", "--deadline", "1h", opts='{ timeout = "10s" }, '), code=0, out=["left true"])


class Schedule(AuthorTest):

    def show(self, schedule):
        return self.play('step("A", function() end)\n', command="show", header=f'playbook {{ title = "Trial", schedule = {schedule} }}\n')

    def test_show_says_what_systemd_says(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not there")
        for text in ("Sat *-*-01..07 02:00 Europe/Madrid", "*-*~01 03:00 America/New_York", "Mon..Fri 08:00 UTC"):
            path = self.write("trial.lua", f'playbook {{ title = "T", schedule = "{text}" }}\nstep("A", function() end)\n')
            ours = self.opsrun("show", path)
            theirs = subprocess.run(["systemd-analyze", "calendar", "--iterations=3", text], capture_output=True, text=True,
                                    check=True, env={"TZ": text.split()[-1], "PATH": os.environ["PATH"], "LC_ALL": "C"}).stdout
            wanted = re.findall(r"(?:elapse|Iter\. #\d): (\w+ [\d-]+ [\d:]+ \w+)", theirs)
            self.assertEqual(len(wanted), 3, theirs)
            self.expect(ours, code=0, out=[re.escape(line) for line in wanted])

    def test_a_wrong_schedule_does_not_load_and_names_its_line(self):
        header = 'playbook {\n  title = "Trial",\n  schedule = { "Sta *-*-01..07 02:00", zone = "Europe/Madrid" },\n}\n'
        for command in ("show", "check", "play"):
            done = self.play('step("A", function() end)\n', header=header, *(("-e", "lab") if command == "play" else ()), command=command) \
                if command == "play" else self.opsrun(command, self.write("trial.lua", header + 'step("A", function() end)\n'))
            self.expect(done, code=3, text=["trial.lua:3: header field 'schedule': 'Sta .*': 'Sta' is no day of the week"])
        done = self.opsrun("show", self.write("trial.lua", 'playbook { title = "T", schedule = { "02:00", zone = "Europe/Madird" } }\n'))
        self.expect(done, code=3, err=["there is no time zone 'Europe/Madird'"])


class Chance(AuthorTest):

    BODY = 'note("%d %d", math.random(1 << 40), math.random(1 << 40))'

    def test_the_seed_is_in_the_journal_and_a_replay_draws_the_same(self):
        self.expect(self.step(self.BODY), code=0)
        drawn = self.last("note")[0]["text"]
        self.assertRegex(self.last("run.start")[0]["seed"], "^[0-9a-f]{32}$")
        done = self.opsrun("replay", self.run_ids()[0])
        self.expect(done, code=0, out=[drawn])

    def test_two_runs_draw_other_numbers(self):
        self.step(self.BODY)
        first = self.last("note")[0]["text"]
        self.step(self.BODY)
        self.assertNotEqual(first, self.last("note")[0]["text"])

    def test_drawing_while_the_playbook_loads_is_refused(self):
        done = self.play('local x = math.random(6)\nstep("A", function() end)\n')
        self.expect(done, code=3, err=["'math.random' was called while the playbook loads: only inside a step"])


if __name__ == "__main__":
    main()
