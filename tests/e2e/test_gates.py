"""A gate is closed unless a person who read the question opened it: every kind of gate against every way of being
asked where nobody is, or of saying something that is no answer. What stands behind the gate never happens."""

import os
import pty
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import OPSRUN, FaultTest, close_all  # noqa: E402
from harness import ROOT, main  # noqa: E402

# what asks; the mark that follows says that it was opened
GATES = {
    "confirm": 'confirm("Strike?"%s)',
    "by its name": 'confirm { "Strike?", type = "orders-production"%s }',
    "with an impact": 'confirm { "Strike?", impact = 9000, details = { "a", "b" }%s }',
    "ask": 'ask { "Strike?"%s }',
    "ask of options": 'ask { "Strike?", options = { "here", "there" }%s }',
    "choose": 'choose("Strike?", { { "a", "this", function() shell.run(mark "struck") end }, { "b", "that", function() shell.run(mark "struck") end } }%s)',
    "manual": 'manual { "Strike?", required = true%s }',
    "manual of items": 'manual { "Strike?", required = true, items = { "the first is done", "the second is done" }%s }',
    "ensure": 'ensure("Strike?", { is = function() return false end, make = function() shell.run(mark "struck") end,'
              ' back = function() end, confirm = true%s })',
    "protected": '%s',
}
WITHIN = ("by its name", "with an impact", "ask", "ask of options")        # gates that may be given a time
CLOSED = {5, 129, 130, 143, -signal.SIGQUIT, 1}


class Gates(FaultTest):

    def setUp(self):
        super().setUp()
        os.makedirs(os.path.join(self.room, "environments"))
        with open(os.path.join(self.room, "environments", "production.lua"), "w", encoding="utf-8") as file:
            file.write('return { label = "production", protected = true }')
        self.tried = 0

    def words(self, gate, opts=""):
        body = GATES[gate] % opts + ' shell.run(mark "struck")'
        where = ("--config", self.room, "-e", "production") if gate == "protected" else ("-e", "lab")
        return [OPSRUN, "play", self.step(body), *where]

    def expect_closed(self, gate, way, code, seen):
        self.tried += 1
        self.assertEqual(self.places(), [], f"{gate}, {way}: it was opened\n{seen}")
        self.assertIn(code, CLOSED, f"{gate}, {way}\n{seen}")
        self.assertNotIn(code, (0, 70), seen)

    def run_off(self, gate, way, **how):
        done = subprocess.run(self.words(gate), cwd=ROOT, timeout=30, check=False,
                              **{"env": self.environ(), "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **how})
        self.expect_closed(gate, way, done.returncode, done.stdout)
        if done.stdout:
            self.assertIn(b"--answer" if gate not in ("by its name", "protected") else b"terminal", done.stdout, f"{gate}, {way}")

    def test_where_nobody_is_every_gate_is_closed(self):
        answers = os.path.join(self.room, "answers")
        with open(answers, "w", encoding="ascii") as file:
            file.write("yes\n" * 200 + "production\norders-production\n" * 50)
        for gate in GATES:
            self.run_off(gate, "/dev/null", stdin=subprocess.DEVNULL)
            self.run_off(gate, "closed", stdin=None, preexec_fn=lambda: os.close(0))
            self.run_off(gate, "all closed", stdin=None, stdout=None, stderr=None, preexec_fn=close_all)
            with open(answers, "rb") as file:
                self.run_off(gate, "a file of answers", stdin=file)
            yes = subprocess.Popen(["yes"], stdout=subprocess.PIPE)
            try:
                self.run_off(gate, "yes |", stdin=yes.stdout)
            finally:
                yes.kill()
                yes.communicate()
            # as cron and systemd start things: no terminal to control, hardly an environment
            bare = {name: value for name, value in self.environ().items() if name not in ("TERM", "LANG", "USER")}
            self.run_off(gate, "cron", stdin=subprocess.DEVNULL, start_new_session=True, env=bare)
            master, slave = pty.openpty()
            try:
                os.write(master, b"yes\n" * 50)
                self.run_off(gate, "stdin alone is a terminal", stdin=slave)
            finally:
                os.close(master)
                os.close(slave)
        print(f"{self.tried} gates where nobody is, 0 opened")

    def at_question(self, gate, opts="", ahead=""):
        """A terminal at the gate's question; what was typed ahead was typed before it was asked."""
        argv = self.words(gate, opts)
        if ahead:
            with open(argv[2], encoding="utf-8") as file:
                text = file.read().replace("step(", f"""step("Before", function()
  wait_until("all is typed", {{ every = "10ms", within = "1m" }}, function() return files.stat "{self.room}/typed" end)
end)
step(""", 1)
            with open(argv[2], "w", encoding="utf-8") as file:
                file.write(text)
        terminal = self.terminal(*argv[1:], env={"NO_COLOR": "1"})
        if opts:
            return terminal
        if ahead:
            terminal.wait_for("Before|trial|Fault")
            terminal.send(ahead)
            with open(os.path.join(self.room, "typed"), "w", encoding="ascii"):
                pass
        terminal.wait_for(r"(?s)production.*: \Z" if gate == "protected" else r"(?s)Strike\?.*: \Z")
        return terminal

    def test_signals_and_a_dropped_terminal_close_every_gate(self):
        for gate in GATES:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                terminal = self.at_question(gate)
                os.kill(terminal.pid, number)
                done = terminal.finish()
                self.expect_closed(gate, number.name, done.code, done)
            for key in ("\x03", "\x1c", "\x04"):
                terminal = self.at_question(gate)
                terminal.send(key)
                done = terminal.finish()
                self.expect_closed(gate, repr(key), done.code, done)
            terminal = self.at_question(gate)
            os.close(terminal.fd)      # the line is cut
            terminal.fd = os.open(os.devnull, os.O_RDONLY)
            _, status = os.waitpid(terminal.pid, 0)
            terminal.code = os.waitstatus_to_exitcode(status)
            self.expect_closed(gate, "cut", terminal.code, terminal.seen)
        print(f"{self.tried} gates with signals and cut lines, 0 opened")

    def test_two_hundred_keys_typed_ahead_open_no_gate(self):
        for gate in GATES:
            for ahead in ("yes\n" * 50, "y" * 199 + "\n", "orders-production\n" * 11 + "y\n", "production\n" * 18 + "1\n", "done\n" * 40):
                terminal = self.at_question(gate, ahead=ahead)
                time.sleep(0.1)      # were it taken as an answer, it would be now
                terminal.read(0)
                self.assertEqual(self.places(), [], f"{gate}: {ahead[:12]!r} opened it\n{terminal.seen}")
                os.kill(terminal.pid, signal.SIGTERM)
                done = terminal.finish()
                os.unlink(os.path.join(self.room, "typed"))
                self.expect_closed(gate, f"typed ahead {ahead[:12]!r}", done.code, done)
        print(f"{self.tried} gates with 200 keys typed ahead, 0 opened")

    def test_time_that_ran_out_closes_every_gate_that_has_one(self):
        for gate in WITHIN:
            terminal = self.at_question(gate, ', within = "300ms"')
            done = terminal.finish()
            self.expect_closed(gate, "time", done.code, done)
        for gate in GATES:
            done = subprocess.run([*self.words(gate), "--suspend-at-gates"], cwd=ROOT, timeout=30, check=False, env=self.environ(),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.assertEqual(self.places(), [], done)
            self.assertIn(done.returncode, (5, 6), done)
        print(f"{self.tried} gates with a time, {len(GATES)} that wait for later, 0 opened")


if __name__ == "__main__":
    main()
