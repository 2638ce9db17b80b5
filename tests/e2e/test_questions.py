"""Only a yes that was typed after the question opens a gate."""

import os
import pty
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import OPSRUN, FaultTest  # noqa: E402
from harness import ROOT, main  # noqa: E402

ASK = 'confirm("Strike?") shell.run(mark "struck")'
YES_NO = r"yes or no \[no\]: "


class Questions(FaultTest):

    HELD = ('wait_until("all is typed", { every = "10ms", within = "1m" },'
            ' function() return files.stat(ROOM .. "/typed") end) ')

    def step(self, body, **options):
        return super().step(body.replace("ROOM", f'"{self.room}"'), **options)

    def let_go(self):
        with open(os.path.join(self.room, "typed"), "w", encoding="ascii"):
            pass

    def answer(self, *typed, body=ASK, question=YES_NO):
        """Types each text at the question, or at its repetition. The end of the run."""
        if os.path.exists(os.path.join(self.room, "places")):
            os.unlink(os.path.join(self.room, "places"))
        terminal = self.terminal("play", self.step(body), "-e", "lab")
        for number, text in enumerate(typed):
            terminal.wait_for(question if number == 0 else "please type yes or no: ")
            terminal.send(text)
        return terminal.finish(within=20)

    def test_yes_opens(self):
        for text in ("y\n", "Y\n", "yes\n", "YES\n", "Yes\n", "y\r"):
            with self.subTest(text):
                self.expect(self.answer(text), code=0, out=["Strike"])
                self.assertEqual(self.places(), ["struck"])

    def test_all_else_does_not(self):
        for typed in (("\n",), ("n\n",), ("no\n",), ("NO\n",), ("\x04",), ("yep\n", "n\n"), ("yess\n", "\n"),
                      ("ye\n", "\x04"), ("j\n", "no\n"), ("yes please\n", "no\n"), ("1\n", "no\n"),
                      ("true\n", "no\n"), (" y e s\n", "no\n"), ("yes\x04\x04",), ("\x1b[A\n", "no\n"),
                      ("ÿ\n", "no\n"), ("yes\x00\n", "no\n"), ("y" * 5000 + "\n", "no\n")):
            with self.subTest(typed):
                done = self.answer(*typed)
                self.expect(done, code=5)
                self.assertEqual(self.places(), [], done)

    def test_what_was_typed_ahead_is_no_answer(self):
        body = 'shell.run(mark "there") ' + self.HELD + ASK
        for ahead in ("yes\n" * 50, "y\n" * 100, ("y" * 199) + "\n", "yes\n"):
            with self.subTest(ahead[:8]):
                for name in ("places", "typed"):
                    if os.path.exists(os.path.join(self.room, name)):
                        os.unlink(os.path.join(self.room, name))
                terminal = self.terminal("play", self.step(body), "-e", "lab")
                self.wait_for_place("there")
                terminal.send(ahead)
                self.let_go()
                terminal.wait_for(YES_NO)
                time.sleep(0.3)      # were it taken as an answer, it would be now
                self.assertEqual(self.places(), ["there"])
                terminal.send("no\n")
                self.expect(terminal.finish(), code=5)
                self.assertEqual(self.places(), ["there"])

    def test_a_pasted_answer_to_two_questions_answers_neither(self):
        body = 'confirm("First?") shell.run(mark "first") confirm("Second?") shell.run(mark "second")'
        terminal = self.terminal("play", self.step(body), "-e", "lab")
        terminal.wait_for(YES_NO)
        terminal.send("yes\nyes\n")
        terminal.wait_for("please type yes or no: |" + YES_NO)
        self.assertNotIn("second", self.places())
        terminal.send("no\n")
        self.expect(terminal.finish(), code=5)
        self.assertNotIn("second", self.places())

    def test_no_terminal_is_a_no(self):
        path = self.step(ASK)
        yes = subprocess.Popen(["yes"], stdout=subprocess.PIPE)
        try:
            done = subprocess.run([OPSRUN, "play", path, "-e", "lab"], cwd=ROOT, env=self.environ(),
                                  stdin=yes.stdout, capture_output=True, timeout=30, check=False)
        finally:
            yes.kill()
            yes.communicate()
        self.assertEqual(done.returncode, 5)
        self.expect(self.opsrun("play", path, "-e", "lab"), code=5, out=["--answer try-it=yes"])
        master, slave = pty.openpty()      # yes on stdin, a terminal on the rest
        yes = subprocess.Popen(["yes"], stdout=subprocess.PIPE)
        try:
            done = subprocess.run([OPSRUN, "play", path, "-e", "lab"], cwd=ROOT, env=self.environ(),
                                  stdin=yes.stdout, stdout=slave, stderr=slave, timeout=30, check=False)
        finally:
            yes.kill()
            yes.communicate()
            os.close(master)
            os.close(slave)
        self.assertEqual(done.returncode, 5)
        self.assertEqual(self.places(), [])

    def test_a_program_that_plays_a_person_and_floods_the_terminal_opens_nothing(self):
        terminal = self.terminal("play", self.step('shell.run(mark "there") sleep "300ms" ' + ASK), "-e", "lab")
        self.wait_for_place("there")
        os.set_blocking(terminal.fd, False)      # nobody reads any more: what does not fit is lost
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and terminal.read(0):
            try:
                terminal.send("yes\n" * 20)
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                break
        self.assertEqual(terminal.finish().code, 5)
        self.assertEqual(self.places(), ["there"])

    def test_a_time_out_is_a_no(self):
        for body in ('confirm { "Strike?", within = "1s" } shell.run(mark "struck")',
                     'confirm { "Strike?", within = "1s", type = "name" } shell.run(mark "struck")'):
            terminal = self.terminal("play", self.step(body), "-e", "lab")
            terminal.wait_for(": ")
            done = terminal.finish(within=10)
            self.expect(done, code=5, out=["no answer.*time"])
            self.assertGreater(done.seconds, 0.9)
        self.assertEqual(self.places(), [])

    def test_a_typed_gate_opens_by_its_name_alone(self):
        body = 'confirm { "Strike?", type = "orders-production" } shell.run(mark "struck")'
        for text in ("yes\n", "y\n", "\n", "orders-productio\n", "ORDERS-PRODUCTION\n", "\x04"):
            self.expect(self.answer(text, body=body, question="stops: "), code=5)
            self.assertEqual(self.places(), [], text)
        self.expect(self.answer("orders-production\n", body=body, question="stops: "), code=0)
        for flag in (("--yes",), ("--answer", "try-it=yes")):
            self.expect(self.opsrun("play", self.step(body), "-e", "lab", *flag), code=5)

    def test_two_questions_side_by_side_are_asked_one_after_the_other(self):
        body = ('parallel { {"a", function() confirm("A?") shell.run(mark "a") end},'
                ' {"b", function() confirm("B?") shell.run(mark "b") end} }')
        terminal = self.terminal("play", self.step(body), "-e", "lab")
        terminal.wait_for(r"A\?(?s:.*?)" + YES_NO)
        time.sleep(0.3)
        self.assertNotIn("B?", terminal.seen)
        terminal.send("yes\n")
        terminal.wait_for(r"B\?(?s:.*?)" + YES_NO)
        terminal.send("yes\n")
        self.expect(terminal.finish(), code=0)
        self.assertEqual(sorted(self.places()), ["a", "b"])


if __name__ == "__main__":
    main()
