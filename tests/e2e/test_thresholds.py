"""Named thresholds, judge, and what a value was: on the lab, as an operator and an author meet them."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import main  # noqa: E402
from author import AuthorTest  # noqa: E402

DISK = 'check("disk /", 85, "disk_used")'


class Thresholds(AuthorTest):

    def files(self, **files):
        """An environment 'trial' and files of thresholds beside it; the words that play there."""
        words = self.environment('return { label = "trial" }')
        for name, text in files.items():
            self.write(f"thresholds/{name}.lua", text)
        return words

    def limit(self, warning):
        return f"return {{ disk_used = {{ above = {{ warning = {warning} }} }} }}"

    def test_the_shipped_numbers_hold_without_any_file(self):
        done = self.step(DISK, *self.environment("return {}"))
        self.expect(done, code=0, out=[r"WARNING +disk / 85 % +\(warning above 80, critical above 90\)"])

    def test_the_operators_files_win_and_the_header_stands_between(self):
        header = 'playbook { title = "Trial", thresholds = { disk_used = { above = { warning = 30 } } } }\n'
        self.expect(self.step(DISK, *self.files(default=self.limit(20))), code=0, out=["warning above 20"])
        self.expect(self.step(DISK, *self.files(), header=header), code=0, out=["warning above 30"])
        self.expect(self.step(DISK, *self.files(trial=self.limit(40)), header=header), code=0, out=["warning above 40"])

    def test_an_unknown_name_fails_the_step_and_tells_the_nearest(self):
        done = self.step('check("disk /", 85, "disk_usd")', *self.files())
        self.expect(done, code=1, err=["trial.lua:3: check 'disk /': no threshold 'disk_usd'", "did you mean 'disk_used'"])

    def test_a_file_that_is_no_data_or_may_be_written_by_all_is_a_failed_precondition(self):
        done = self.step(DISK, *self.files(trial="return { disk_used = { abve = {} } }"))
        self.expect(done, code=4, err=["'disk_used': unknown field 'abve'", "did you mean 'above'"])
        words = self.files(trial=self.limit(1))
        os.chmod(self.path("thresholds/trial.lua"), 0o666)
        self.expect(self.step(DISK, *words), code=4, err=["may be written by everybody"])

    def test_judge_says_the_verdict_and_tells_nobody(self):
        done = self.step('note("it is %s", judge(95, "disk_used")) note("and %s", judge(5, { below = { critical = 7 } }))'
                         ' note("limit %d", thresholds.of("disk_used").above.critical)', *self.files())
        self.expect(done, code=0, out=["it is critical", "and critical", "limit 90"], absent=["CRITICAL"])
        self.assertEqual(self.last("check"), [])

    def test_what_a_playbook_does_to_a_threshold_stays_its_own(self):
        done = self.step('thresholds.of("disk_used").above.critical = 1\n' + DISK, *self.files())
        self.expect(done, code=0, out=["critical above 90"])


class Change(AuthorTest):

    CHECK = 'check("rate", %s, { change = { warning = "20%%", critical = "50%%" } })'

    def test_the_first_run_is_ok_and_later_ones_are_compared(self):
        self.expect(self.step(self.CHECK % 100), code=0, out=[r"OK +rate 100 +\(no earlier value\)"])
        self.expect(self.step(self.CHECK % 115), code=0, out=[r"OK +rate 115 +\(\+15% against 100, \S+ ago"])
        self.expect(self.step(self.CHECK % 140), code=0, out=[r"WARNING +rate 140 +\(\+21.7% against 115"])
        self.expect(self.step(self.CHECK % 60), code=1, out=[r"CRITICAL +rate 60 +\(-57.1% against 140"])
        self.expect(self.step(self.CHECK % 60), code=0, out=[r"OK +rate 60 +\(\+0% against 60"])

    def test_a_dry_run_compares_and_keeps_nothing(self):
        self.step(self.CHECK % 100)
        self.expect(self.step(self.CHECK % 200, "-e", "lab", "-n"), code=0, out=[r"CRITICAL +rate 200"])
        self.expect(self.step(self.CHECK % 101), code=0, out=["against 100,"])

    def test_sizes_and_durations_have_a_past_too(self):
        body = ('check("took", p.took, { change = { above = { critical = "10s" } } })\n'
                'check("size", p.size, { change = { above = { warning = "50mb" } } })')
        header = ('playbook { title = "Trial", params = { took = { type = "duration", default = "1m" }, '
                  'size = { type = "size", default = "10mb" } } }\n')
        self.expect(self.step(body, header=header), code=0, out=["no earlier value"])
        done = self.step(body, "-e", "lab", "-p", "took=90s", "-p", "size=100mb", header=header)
        self.expect(done, code=1, out=[r"CRITICAL +took 1m30s +\(\+50% against 1m, .*critical \+10s",
                                       r"WARNING +size 100mb +\(\+900% against 10mb, .*warning \+50mb"])

    def test_over_takes_the_last_run_that_is_so_long_ago(self):
        body = 'check("users", %s, { change = { below = { critical = "50%%" }, over = "7d" } })'
        self.step(body % 100)
        self.expect(self.step(body % 10), code=0, out=["no earlier value"])
        path = os.path.join(self.home, "state", os.listdir(os.path.join(self.home, "state"))[0])
        with open(path, encoding="utf-8") as file:
            state = json.load(file)
        now = state["series"]["users"][0][0]
        state["series"]["users"] = [[now - 15 * 86400, 5], [now - 8 * 86400, 100], [now - 3600, 10]]
        with open(path, "w", encoding="utf-8") as file:
            json.dump(state, file)
        self.expect(self.step(body % 40), code=1, out=[r"CRITICAL +users 40 +\(-60% against 100, 8d ago"])

    def test_before_gives_the_value_and_the_look_is_in_the_journal(self):
        self.step('check("n", 7)')
        done = self.step('local b = state():before("n") note("%d, %s", b.value, state():before("n", { over = "1h" }))')
        self.expect(done, code=0, out=["7, –"])
        kinds = [r["kind"] for r in self.last("effect.end")]
        self.assertEqual(kinds, ["state.before", "state.before"])


if __name__ == "__main__":
    main()
