"""What goes on is to be seen: the status line, the last lines of a command, Enter; at a question what yes and
no do, the details, notes; steps one by one."""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import FaultTest  # noqa: E402
from harness import main  # noqa: E402

YES_NO = r"yes or no \[no\]: "


class Underway(FaultTest):

    def play(self, body, *words, env=None):
        return self.terminal("play", self.step(body.replace("WAIT", f'"{self.wait()}"')), "-e", "lab", *words, env=env)

    def wait(self):
        """What a command does until it is let go."""
        return f"until [ -e {self.room}/go ]; do sleep 0.05; done"

    def let_go(self):
        with open(os.path.join(self.room, "go"), "w", encoding="ascii"):
            pass

    def test_what_takes_over_a_second_is_named_with_its_time(self):
        terminal = self.play('sleep "60s"', env={"LANG": "C.UTF-8"})
        first = terminal.wait_for(r"[⠋-⠿] 1/1 Try it › sleep 60s (\d+)s")[1]
        self.assertGreater(int(first), 0)
        terminal.wait_for(rf"› sleep 60s (?!{first}s)\d+s")
        terminal.send("\x03")
        self.expect(terminal.finish(), code=130)

    def test_what_is_over_at_once_draws_nothing(self):
        done = self.play('note "quick"').finish()
        self.assertNotIn("\x1b[K", done.out)

    def test_side_by_side_it_says_how_many_go_on(self):
        path = self.write('group("Both", { together = true }, function()\n'
                          'step("One", function() sleep "3s" end)\nstep("Two", function() sleep "3s" end)\nend)\n')
        terminal = self.terminal("play", path, "-e", "lab")
        terminal.wait_for("2 go on, the longest: 1/2 One › sleep 3s")
        self.expect(terminal.finish(), code=0)

    def test_a_time_limit_stands_behind_the_time(self):
        terminal = self.play('shell.read("sleep 3", { timeout = "20s" })')
        terminal.wait_for(r"\ds of at most 20s")
        self.expect(terminal.finish(), code=0)

    def test_the_last_lines_of_a_long_command_are_seen_and_taken_away(self):
        terminal = self.play('shell.run("for i in $(seq 1 30); do echo part $i; sleep 0.1; done; " .. WAIT)')
        terminal.wait_for(r"\| part \d+.*\n.*\| part \d+.*\n.*\| part \d+.*\n.*\| part \d+")
        terminal.wait_for("part 30")
        self.let_go()
        done = terminal.finish()
        self.expect(done, code=0)
        shown = Screen(done.out).text()
        self.assertNotIn("| part", shown)
        self.assertIn("done", shown)

    def test_the_tail_is_masked_and_filtered_and_a_line_written_again_counts_once(self):
        secret = re.search(r":([0-9a-f]{16,})@", self.lab.env["DATABASE_URL"]).group(1)
        first, rest = secret[:7], secret[7:]
        script = (f"printf 'my {first}'; sleep 0.6; printf '{rest} is it\\n'; printf '\\033[31mred\\033[0m\\n';"
                  f" printf '10%%\\r20%%\\r30%%'; {self.wait()}")
        terminal = self.play(f'sql("primary"):value("select 1") shell.run({{ "bash", "-c", {lua_text(script)} }})')
        terminal.wait_for(r"\| my ‹secret:DATABASE_URL› is it")
        terminal.wait_for(r"\| \\x1b\[31mred\\x1b\[0m")
        terminal.wait_for(r"\| 30%")
        self.let_go()
        done = terminal.finish()
        self.expect(done, code=0, absent=[secret, "\x1b\\[31m", r"\| 20%"])

    def test_with_v_the_whole_output_stands_in_the_report(self):
        terminal = self.play('shell.run("seq 1 40; echo warned >&2")', "-v")
        done = terminal.finish()
        self.expect(done, code=0, out=[r"(?s)\n[^\n]* 1\b.*\n[^\n]* 40\b.*stderr.*warned"])
        done = self.play('shell.run("seq 100 140")').finish()
        self.expect(done, code=0, absent=[r"\n[^\n]* 120\b"])

    def test_a_long_copy_says_how_far_it_is(self):
        self.table("copied")
        terminal = self.play('local n = 0 sql("primary"):copy_in("copied", function() n = n + 1'
                             ' return n <= 1500000 and { n = n } or nil end)')
        terminal.wait_for(r"1/1 Try it › \d+ rows sent, copy rows into copied on primary")
        self.expect(terminal.finish(), code=0)

    def test_enter_says_what_it_waits_for_since_when_and_what_ends_it(self):
        terminal = self.play('shell.run(mark "there") wait_until("the queue is empty", { within = "30s", every = "200ms" },'
                             ' function() return files.stat(ROOM .. "/go") ~= nil end)'.replace("ROOM", f'"{self.room}"'))
        self.wait_for_place("there")
        terminal.wait_for("waiting: the queue is empty")
        terminal.send("\n")
        terminal.wait_for("… step 1 'Try it': waiting: the queue is empty")
        terminal.wait_for(r"since \d\d:\d\d:\d\d UTC, [\d.]+s; ends by itself after at most 30s; Ctrl-C ends it")
        self.let_go()
        self.expect(terminal.finish(), code=0)

    def test_enter_at_a_change_says_that_ctrl_c_lets_it_finish(self):
        terminal = self.play('shell.run("echo there >>$PLACES; " .. WAIT, { env = { PLACES = ROOM .. "/places" } })'
                             .replace("ROOM", f'"{self.room}"'))
        self.wait_for_place("there")
        terminal.send("\n")
        terminal.wait_for("has no time limit of its own; Ctrl-C lets it finish")
        self.let_go()
        self.expect(terminal.finish(), code=0)

    def test_enter_many_times_is_answered_once_a_second(self):
        terminal = self.play('shell.run(mark "there") sleep "2s"')
        self.wait_for_place("there")
        terminal.send("\n" * 50)
        done = terminal.finish()
        self.expect(done, code=0)
        self.assertIn(len(re.findall("… step 1", done.out)), (1, 2), done)

    def test_a_terminal_that_knows_no_utf8_gets_ascii_for_our_signs(self):
        body = 'note "été" show({ { text = ("x"):rep(300) } }) sleep "60s"'
        terminal = self.play(body, env={"LANG": "de_DE.ISO-8859-1", "LC_ALL": ""})
        terminal.wait_for(r"[|/\\-] 1/1 Try it > sleep")
        terminal.send("\x03")
        self.expect(terminal.finish(), code=130, out=["été", "xxx~", "----------"], absent=["…", "─", "[⠋-⠿]"])

    def test_a_dumb_terminal_gets_no_status_line(self):
        done = self.play('sleep "1500ms"', env={"TERM": "dumb"}).finish()
        self.expect(done, code=0, absent=["\x1b", "1/1 Try it"])


class Asked(FaultTest):

    ASK = ('show({ { pid = 17, query = "select " .. ("Q"):rep(200) } }, { title = "Sessions" })\n'
           'sql("primary"):value("select 6 * 7")\n'
           'confirm { "Strike?", impact = "17 sessions", details = "they are old" } shell.run(mark "struck")')

    def at_question(self, body=ASK, *words):
        terminal = self.terminal("play", self.step(body), "-e", "lab", *words)
        terminal.wait_for(YES_NO)
        return terminal

    def test_a_question_mark_explains_and_the_question_comes_again(self):
        terminal = self.at_question()
        terminal.send("?\n")
        for text in ("asked by +step 1 'Try it', fault.lua:6", "impact +17 sessions", "yes +the step goes on",
                     r"no +the run ends here, refused \(exit code 5\); nothing was changed",
                     "unattended +--answer try-it=yes", r"\? Strike\?", YES_NO):
            terminal.wait_for(text)
        self.assertEqual(self.places(), [])
        terminal.send("yes\n")
        self.expect(terminal.finish(), code=0)
        self.assertEqual(self.places(), ["struck"])

    def test_d_shows_rows_whole_and_statements_word_by_word(self):
        terminal = self.at_question()
        terminal.send("d\n")
        for text in ("they are old", "Sessions:", "Q{70}", "sql.value", r"select 6 \* 7", YES_NO):
            terminal.wait_for(text)
        shown = "".join(re.findall("Q+", terminal.seen[terminal.seen.index("they are old"):]))
        self.assertEqual(len(shown), 200)
        terminal.send("no\n")
        self.expect(terminal.finish(), code=5)

    def test_a_note_is_in_the_journal_with_its_gate(self):
        terminal = self.at_question()
        terminal.send("note\n")
        terminal.wait_for("note .*: ")
        terminal.send("the boss said so\n")
        terminal.wait_for(YES_NO)
        terminal.send("yes\n")
        self.expect(terminal.finish(), code=0)
        note, = self.records("gate.note")
        self.assertEqual((note["gate"], note["text"]), ("try-it", "the boss said so"))
        self.expect(self.opsrun("log", self.run_ids()[0]), out=["note +at gate try-it: the boss said so, by "])

    def test_n_is_still_a_no(self):
        terminal = self.at_question()
        terminal.send("n\n")
        self.expect(terminal.finish(), code=5)

    def test_explaining_does_not_lengthen_the_time_to_answer(self):
        terminal = self.at_question('confirm { "Strike?", within = "3s" } shell.run(mark "struck")')
        for _ in range(3):
            terminal.send("?\n")
            terminal.wait_for("in time +no answer within 3.0s counts as a no")
            terminal.wait_for(YES_NO)
        done = terminal.finish()
        self.expect(done, code=5, out=["no answer"])
        self.assertLess(done.seconds, 8)

    def test_a_typed_gate_explains_too_and_takes_its_word_alone(self):
        terminal = self.terminal("play", self.step('confirm { "Strike?", type = "d" } shell.run(mark "struck")'), "-e", "lab")
        terminal.wait_for("anything else stops: ")
        terminal.send("?\n")
        terminal.wait_for("d +the step goes on")
        terminal.wait_for("anything else stops: ")
        terminal.send("d\n")
        self.expect(terminal.finish(), code=0)
        self.assertEqual(self.places(), ["struck"])

    def test_in_an_optional_step_no_is_explained_as_what_it_is(self):
        path = self.write('step("Try it", { optional = true }, function() confirm("Strike?") end)\n')
        terminal = self.terminal("play", path, "-e", "lab")
        terminal.wait_for(YES_NO)
        terminal.send("?\n")
        terminal.wait_for("no +this step ends as declined, the run goes on")
        terminal.wait_for(YES_NO)
        terminal.send("no\n")
        self.expect(terminal.finish(), code=0)


class StepByStep(FaultTest):

    BODY = ('step("First", function() shell.run(mark "first") end)\n'
            'step("Second", function() shell.run(mark "second") end)\n'
            'step("Third", function() shell.run(mark "third") end)\n')
    ASKED = "y go on, s skip, q stop: "

    def play(self, *typed, words=()):
        terminal = self.terminal("play", self.write(self.BODY), "-e", "lab", "--step", *words)
        for text in typed:
            terminal.wait_for(self.ASKED + "|please type y, s or q: ")
            terminal.send(text)
        return terminal.finish()

    def test_each_step_is_asked_for_and_the_answers_are_journaled(self):
        done = self.play("y\n", "s\n", "y\n")
        self.expect(done, code=0, out=["Step 2: Second", r"skipped: .*by the operator \(--step\)"])
        self.assertEqual(self.places(), ["first", "third"])
        self.assertEqual([(r["gate"], r["answer"]) for r in self.records("gate")],
                         [("step:first", "go on"), ("step:second", "skip"), ("step:third", "go on")])

    def test_stop_ends_the_run_refused_and_says_how_to_go_on(self):
        done = self.play("y\n", "q\n")
        self.expect(done, code=5, out=["stopped before step 'Second' by the operator", "--from second goes on from here"])
        self.assertEqual(self.places(), ["first"])

    def test_nothing_but_y_plays_a_step(self):
        done = self.play("\n", "yep\n", "x\n", "1\n", "q\n")
        self.expect(done, code=5)
        self.assertEqual(self.places(), [])
        self.expect(self.play("\x04"), code=5)
        self.assertEqual(self.places(), [])

    def test_ctrl_c_at_the_question_ends_the_run(self):
        terminal = self.terminal("play", self.write(self.BODY), "-e", "lab", "--step")
        terminal.wait_for(self.ASKED)
        terminal.send("\x03")
        self.expect(terminal.finish(), code=130)
        self.assertEqual(self.places(), [])

    def test_a_dry_run_goes_step_by_step_as_well(self):
        done = self.play("y\n", "s\n", "q\n", words=("-n",))
        self.expect(done, code=5, out=["WOULD"])
        self.assertEqual(self.places(), [])

    def test_where_nobody_can_be_asked_it_is_refused_before_anything_runs(self):
        path = self.write(self.BODY)
        for words, why in (((), "there is no terminal to ask on"), (("--no-input",), "--no-input asks nothing"),
                           (("--json",), "--json asks nothing")):
            self.expect(self.opsrun("play", path, "-e", "lab", "--step", *words), code=2,
                        err=["--step asks before each step: " + why, "leave --step out"])
        self.assertEqual((self.places(), self.run_ids()), ([], []))


class Screen:
    """The rows a terminal of 100 columns would show, of the few sequences opsrun uses."""

    def __init__(self, data):
        self.rows, row, column = [""], 0, 0
        for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", data):
            if part == "\r":
                column = 0
            elif part == "\n":
                row += 1
            elif re.fullmatch(r"\x1b\[\d*A", part):
                row -= int(part[2:-1] or 1)
            elif part == "\x1b[J":
                self.rows[row:] = [self.rows[row][:column]]
            elif part == "\x1b[K":
                self.rows[row] = self.rows[row][:column]
            elif not part.startswith("\x1b"):
                line = self.rows[row].ljust(column)
                self.rows[row] = line[:column] + part + line[column + len(part):]
                column += len(part)
            while len(self.rows) <= row:
                self.rows.append("")

    def text(self):
        return "\n".join(self.rows)


def lua_text(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


if __name__ == "__main__":
    main()
