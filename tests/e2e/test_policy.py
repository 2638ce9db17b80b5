"""The rules of an environment and the budgets of a header, on a real server: refused is not sent, spent is spent."""

import grp
import os
import pwd
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import AuthorTest  # noqa: E402
from harness import main, wait_until  # noqa: E402

SWITCH = "sql \"primary\":exec(\"UPDATE feature_flags SET enabled = true WHERE name = 'beta-upload'\")"
CHANGE = f'step("Switch", function()\n  {SWITCH}\nend)\n'
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def far_day():
    """A day of the week that it is nowhere now, and not in the next hours either."""
    return DAYS[(time.gmtime().tm_wday + 3) % 7]


class Rules(AuthorTest):

    def setUp(self):
        super().setUp()
        self.lab.ask("UPDATE feature_flags SET enabled = false WHERE name = 'beta-upload'")

    def rules(self, text, fields=""):
        return self.lab_environment(f"{fields} rules = {{ {text} }}")

    def refused(self, rules, *said, text=CHANGE, flags=()):
        """Live and dry: 5, what is said, the server unchanged, one refusal in the journal."""
        words = self.rules(rules)
        for mode in ((), ("-n",)):
            done = self.play(text, *words, *mode, *flags)
            self.expect(done, code=5, err=said)
            self.assertFalse(self.flag("beta-upload"))
            self.assertEqual(1, len(self.last("effect.refused")))
            self.assertEqual([], self.last("effect.begin"))

    def test_what_a_rule_refuses_is_not_sent_live_and_dry_alike(self):
        self.refused("read_only = true", "environment 'trial' is read-only")
        self.refused(f'changes = {{ within = "{far_day()}" }}', f"changed within {far_day()} only, and there it is",
                     "it may be changed again from", "--override rules.within --because TEXT")
        self.refused('changes = { who = { "nobody-here", "@no-such-group" } }', "may not change environment 'trial'",
                     "names nobody-here, @no-such-group")
        self.refused('changes = { deny = "sql.exec primary" }', "denies 'sql.exec primary'", "--override rules.deny")
        self.refused('changes = { deny = "sql" }', "denies 'sql'")

    def test_who_decides_cannot_be_set_aside(self):
        words = self.rules('read_only = true, changes = { who = "nobody-here" }')
        for rule in ("rules.who", "rules.read_only", "rules.ask", "protected"):
            done = self.play(CHANGE, *words, "--override", rule, "--because", "ticket")
            self.expect(done, code=2, err=[f"--override '{rule}'"])
        self.assertFalse(self.flag("beta-upload"))

    def test_the_operator_is_known_by_account_and_by_group(self):
        account = pwd.getpwuid(os.geteuid()).pw_name
        group = grp.getgrgid(os.getegid()).gr_name
        for who in (f'"{account}"', f'{{ "nobody-here", "@{group}" }}'):
            self.expect(self.play(CHANGE, *self.rules(f"changes = {{ who = {who} }}"), "-n"), code=0)
        env = {"USER": "nobody-here", "LOGNAME": "nobody-here"}      # what the shell says of it does not count
        self.expect(self.play(CHANGE, *self.rules('changes = { who = "nobody-here" }'), "-n", env=env), code=5)

    def test_through_sudo_the_operator_is_who_called_it(self):
        if os.geteuid() != 0:
            self.skipTest("only root is root through sudo")
        group = grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name
        for who, user, code in (("nobody", "nobody", 0), (f"@{group}", "nobody", 0), ("root", "nobody", 5), ("@root", "nobody", 5),
                                ("@root", "no-such-account", 5), ("root", "", 0)):
            done = self.play(CHANGE, *self.rules(f'changes = {{ who = "{who}" }}'), "-n", env={"SUDO_USER": user})
            self.expect(done, code=code)

    def test_hours_and_denials_are_set_aside_aloud_with_a_reason(self):
        words = self.rules(f'changes = {{ within = "{far_day()}", deny = "sql.exec" }}')
        flags = ("--override", "rules.within", "--override", "rules.deny")
        self.expect(self.play(CHANGE, *words, *flags), code=2, err=["--because is missing"])
        done = self.play(CHANGE, *words, *flags, "--because", "ticket 4711")
        self.expect(done, code=0, out=["OVERRIDDEN rule rules.within", "OVERRIDDEN rule rules.deny", "open +rule .* because: ticket 4711"])
        self.assertTrue(self.flag("beta-upload"))
        self.assertEqual(["rules.deny", "rules.within"], sorted(r["rule"] for r in self.last("override")))

    def test_what_is_asked_about_is_a_gate_with_an_id_and_a_flag(self):
        words = self.rules('changes = { ask = "sql" }')
        self.expect(self.play(CHANGE, *words, "-n"), code=0, out=["WOULD ASK .*asks before 'sql'.*gate switch.rule"])
        self.expect(self.play(CHANGE, *words), code=5, err=["gate 'switch.rule' is closed", "--answer switch.rule=yes"])
        self.assertFalse(self.flag("beta-upload"))
        self.expect(self.play(CHANGE, *words, "--answer", "switch.rule=yes"), code=0)
        self.assertTrue(self.flag("beta-upload"))
        self.assertEqual("switch.rule", self.last("gate")[0]["gate"])
        stray = self.play('step("Read", function() end)', *words, "--answer", "switch.rule=yes")
        self.expect(stray, code=2, err=["met no gate"])

    def test_on_a_terminal_a_person_is_asked_once_a_step(self):
        text = f'step("Switch", function()\n  {SWITCH}\n  {SWITCH}\nend)\n'
        words = self.rules('changes = { ask = "sql" }')
        path = self.write("books/trial.lua", 'playbook { title = "T" }\n' + text)
        terminal = self.terminal("play", path, *words)
        terminal.wait_for("asks before 'sql'")
        terminal.wait_for("yes or no")
        terminal.send("yes\n")
        self.expect(terminal.finish(), code=0)
        self.assertEqual(1, len(self.last("gate")))

    def test_somebody_else_answers_later_and_the_resumed_run_goes_on(self):
        words = self.rules('changes = { ask = "sql" }')
        self.expect(self.play(CHANGE, *words, "--suspend-at-gates"), code=6, text=["switch.rule"])
        run = self.run_ids()[-1]
        self.expect(self.opsrun("answer", run, "switch.rule=yes"), code=0)
        self.expect(self.opsrun("resume", run, "--config", self.room), code=0)
        self.assertTrue(self.flag("beta-upload"))

    def test_ways_back_are_not_held_up_by_the_hour(self):
        back = SWITCH.replace("true", "false")
        text = (f'step("Switch", function()\n  undo("switch it off", function() {back} end)\n  {SWITCH}\n  '
                'fail("no good")\nend)\n')
        words = self.rules(f'changes = {{ within = "{far_day()}" }}')
        done = self.play(text, *words, "--override", "rules.within", "--because", "trial")
        self.expect(done, code=1)
        self.assertTrue(self.flag("beta-upload"))
        self.expect(self.opsrun("undo", self.run_ids()[-1], "--yes", "--config", self.room), code=0)
        self.assertFalse(self.flag("beta-upload"))

    def test_rules_that_changed_since_stop_a_resume(self):
        text = CHANGE + 'step("Stop", function() fail("now") end)\n'
        self.expect(self.play(text, *self.rules("read_only = false")), code=1)
        self.rules("read_only = true")
        done = self.opsrun("resume", self.run_ids()[-1], "--config", self.room)
        self.expect(done, code=5, err=["rules", "--accept"])

    def test_show_and_doctor_tell_the_rules(self):
        words = self.rules('read_only = true, changes = { within = "Mon 09:00..17:00", who = "ana", deny = "shell", ask = "sql" }',
                           fields='timezone = "Europe/Madrid",')
        book = self.write("books/trial.lua", 'playbook { title = "T" }\n' + CHANGE)
        told = ["read-only", "Mon 09:00..17:00 .Europe/Madrid", "ana", "never changed +shell", "asked first +sql"]
        self.expect(self.opsrun("show", book, *words), code=0, out=["Rules of trial", *told])
        self.expect(self.opsrun("doctor", *words), code=0, out=told)
        self.expect(self.opsrun("show", book, *self.environment("return { protected = true }")), code=0, out=["protected +its name is typed"])

    def test_a_mistake_in_the_rules_does_not_load(self):
        for rules, said in (("readonly = true", "did you mean 'read_only'"), ('changes = { deny = "sql.exce" }', "did you mean 'sql.exec'"),
                            ('changes = { within = "9 to 5" }', "is no window"), ("changes = { who = 5 }", "expected a list")):
            self.expect(self.play(CHANGE, *self.rules(rules)), code=4, err=[said])
        done = self.play(CHANGE, *self.rules('changes = { within = "Mon" }', fields='timezone = "Europe/Madird",'))
        self.expect(done, code=4, err=["no time zone 'Europe/Madird'"])


class Budgets(AuthorTest):

    HEADER = 'playbook { title = "Trial", calls = { "called" }, limits = { rows = 10 } }\n'

    def setUp(self):
        super().setUp()
        self.lab.ask("CREATE TABLE budget AS SELECT n, n % 4 AS part FROM generate_series(0, 39) n")
        self.addCleanup(self.lab.ask, "DROP TABLE budget")

    def spend(self, where, costs):
        return f'sql "primary":exec("DELETE FROM budget WHERE {where}", {{}}, {{ costs = {{ rows = {costs} }} }})'

    def rows(self):
        return int(self.lab.ask("SELECT count(*) FROM budget")[0][0])

    def test_a_change_is_settled_to_the_rows_it_had_and_the_report_says_what_is_left(self):
        one = self.spend("n = 1", '{ most = 8, by = "count" }')
        done = self.step(f"{one} {one} {one}", header=self.HEADER)
        self.expect(done, code=0, out=["limits +rows 1 of 10"])
        self.assertEqual([8, 8, 8], [r["costs"]["rows"] for r in self.last("effect.begin")])
        self.assertEqual([1, 0, 0], [r["costs"]["rows"] for r in self.last("effect.end")])

    def test_what_the_server_was_not_sent_gives_its_reservation_back(self):
        lost = 'http.get("http://127.0.0.1:1/", { costs = { rows = 8 } })'
        header = self.HEADER.replace("calls", 'uses = { http = { "http://127.0.0.1:1" } }, calls')
        done = self.step(f'try(function() {lost} end) {self.spend("part = 0", 8)}', header=header)
        self.expect(done, code=0, out=["limits +rows 8 of 10"])

    def test_a_killed_run_that_goes_on_knows_what_it_spent(self):
        gate = os.path.join(self.room, "gate")
        text = (f'step("First", function() {self.spend("n = 1", 4)} end)\n'
                f'step("Second", function() {self.spend("n = 2", 4)}\n'
                f'  wait_until("open", {{ every = "50ms", within = "60s" }}, function() return files.stat("{gate}") end)\n'
                f'  {self.spend("n = 3", 4)} end)\n')
        process = self.start("play", self.write("books/trial.lua", self.HEADER + text), "-e", "lab")
        reached = wait_until(lambda: self.run_ids() and any(r["type"] == "effect.end" and r["step"] == "second" and r["class"] == "change"
                                                            for r in self.last()), within=20)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.assertTrue(reached)
        with open(gate, "w", encoding="ascii"):
            pass
        done = self.opsrun("resume", "--last")
        self.expect(done, code=5, err=["over budget", "12 of at most 10 rows"], out=["limits +rows 8 of 10"])
        self.assertEqual(38, self.rows())
        done = self.opsrun("resume", "--last", "--override", "limits.rows", "--because", "counted by hand")
        self.expect(done, code=0, out=["OVERRIDDEN rule limits.rows", "limits +rows 12 of 10"])
        self.assertEqual(37, self.rows())

    def test_attempts_of_a_step_spend_of_one_budget_also_after_a_resume(self):
        text = (f'step("Try", {{ idempotent = true }}, function() {self.spend("n = 1", 6)} fail("again") end)\n')
        self.expect(self.play(text, header=self.HEADER), code=1, out=["limits +rows 6 of 10"])
        done = self.opsrun("resume", "--last", "--from", "try")
        self.expect(done, code=5, err=["12 of at most 10 rows"])

    def test_a_called_playbook_spends_of_its_callers_budget(self):
        self.write("books/called.lua", f'playbook {{ title = "C" }}\nstep("Spend", function() {self.spend("part = 0", 6)} end)\n')
        done = self.step('call("called") call("called")', header=self.HEADER, env={"OPSRUN_PATH": self.room + "/books"})
        self.expect(done, code=5, err=["12 of at most 10 rows"], out=["limits +rows 6 of 10"])
        self.assertEqual(30, self.rows())

    def test_branches_side_by_side_cannot_overrun_a_limit_together(self):
        body = ('each({ 0, 1, 2, 3 }, { limit = 4, keep_going = true }, function(part)\n  sql "primary":exec("DELETE FROM budget WHERE part = $1", '
                '{ part }, { costs = { rows = { most = 10, by = "count" } } })\nend)')
        self.expect(self.step(body, header=self.HEADER), code=5, out=["limits +rows 10 of 10"])
        self.assertEqual(30, self.rows())

    def test_json_tells_what_was_spent(self):
        done = self.step(self.spend("n = 1", 4), "--json", header=self.HEADER)
        self.assertEqual([{"name": "rows", "spent": 4, "limit": 10}], self.events(done, "run.end")[0]["limits"])


if __name__ == "__main__":
    main()
