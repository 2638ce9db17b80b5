"""A step that computes without end, or takes all memory, is ended: by what ends any other step where that can be, else
opsrun ends itself, the journal says so and the run can be resumed. All of endless.py: tests/full/test_runaways.py."""

import os
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import OPSRUN, ROOT, Done, children_computed, main, wait_until, with_peak  # noqa: E402
from author import HEADER, AuthorTest  # noqa: E402
from endless import BOMBS, LOOPS, MEMORY  # noqa: E402

# On each change, a few of each kind; the slowest way of each first.
SOME_LOOPS = ("a bare loop", "in try", "in wait_until", "in a branch", "in a comparison", "in __json of a result", "sleeps of nothing")
SOME_BOMBS = ("find", "move", "json")
SOME_MEMORY = ("a list", "a text that doubles", "in try")

CAP = 64 << 20


def computed(pid):
    """Seconds of processors that a process took so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class RunawayTest(AuthorTest):

    def opsrun(self, *words, **more):
        """What is not ended is so after a while here: broken on purpose (tests/mutants) it would go on for ever."""
        return super().opsrun(*words, **{"within": 20, **more})

    def end_by_deadline(self, bodies, of):
        """Ends each by --deadline; those of `of` that are not within a second of it are told."""
        slowest, late = 0, []
        for name in bodies:
            with self.subTest(name):
                done = self.step(of[name], "--deadline", "500ms")
                over = min(done.seconds, done.computed) - 0.5      # what others of this machine took is not its own
                slowest = max(slowest, over)
                late += [name] if over > 1.0 else []
                self.expect(done, code=124)
                last = self.last()[-1]
                self.assertIn(last["type"], ("run.end", "run.abort"), last)
                self.assertIn(last.get("cause") or last["error"]["kind"], ("deadline", "cancelled"), last)
        self.assertEqual([], late, f"slowest {slowest:.2f} s behind the deadline")
        return slowest

    def peak_of(self, body, *words):
        """Plays it; how it ended, and the most memory it had, in bytes."""
        path = self.write("books/trial.lua", f'{HEADER}step("Try", function(p)\n{body}\nend)\n')
        argv = [OPSRUN, "play", path, "-e", "lab", *words]
        code, out, err, peak = with_peak(argv, env=self.environ(), cwd=ROOT)
        return Done(argv, code, out, err, 0), peak * 1024

    def end_by_memory(self, bodies, of):
        """Ends each by --memory 64mb; returns the most memory that any had, in bytes."""
        highest = 0
        for name in bodies:
            with self.subTest(name):
                done, peak = self.peak_of(of[name], "--memory", str(CAP), "--deadline", "20s")
                highest = max(highest, peak)
                self.expect(done, code=1, err=[r"step 'try': what the playbook keeps in memory came to more than 64 MiB",
                                               r"opsrun log \S+ shows what was done; --memory allows more"])
                record = self.last()[-1]
                self.assertEqual(("run.abort", "memory", "try", CAP, 1),
                                 tuple(record[key] for key in ("type", "cause", "step", "limit", "code")))
                self.assertGreater(record["wanted"], CAP)
        return highest


class Runaway(RunawayTest):

    def test_loops_are_ended_within_a_second_of_the_deadline(self):
        slowest = self.end_by_deadline(SOME_LOOPS, LOOPS)
        print(f"{len(SOME_LOOPS)} loops, the slowest {slowest:.2f} s behind the deadline")

    def test_calls_of_the_library_are_ended_within_a_second_of_the_deadline(self):
        slowest = self.end_by_deadline(SOME_BOMBS, BOMBS)
        print(f"{len(SOME_BOMBS)} calls, the slowest {slowest:.2f} s behind the deadline")

    def test_more_memory_than_allowed_ends_the_run(self):
        self.end_by_memory(SOME_MEMORY, MEMORY)

    def test_garbage_is_no_memory(self):
        done = self.step("local kept = {} for i = 1, 150 do kept[i] = ('x'):rep(2e5 + i) end\n"
                         "for i = 1, 3000 do local _ = ('y'):rep(1e5 + i) end note('%d kept', #kept)", "--memory", str(CAP))
        self.expect(done, code=0, out=["150 kept"])

    def wait_until_it_spins(self, process):
        """A signal before that would be the easier case."""
        self.assertTrue(wait_until(lambda: self.run_ids() and self.last("step.start"), within=20))
        before = computed(process.pid)
        self.assertTrue(wait_until(lambda: computed(process.pid) > before + 0.1, within=20))

    def test_a_signal_ends_it_and_always_runs(self):
        path = self.write("spin.lua", 'playbook { title = "Spin" }\nstep("Spin", function()\n'
                          'always("note the end", function() note("the end was noted") end)\nwhile true do end\nend)\n')
        process = self.start("play", path, "-e", "lab")
        self.wait_until_it_spins(process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130, (out, err))
        self.assertIn(b"the end was noted", out)

    def test_one_signal_is_enough_for_a_call_of_the_library(self):
        path = self.write("bomb.lua", f'playbook {{ title = "Bomb" }}\nstep("Bomb", function() {BOMBS["find"]} end)\n')
        process = self.start("play", path, "-e", "lab")
        self.wait_until_it_spins(process)
        before, others = computed(process.pid), children_computed()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 143, err)
        self.assertLess(children_computed() - others - before, 3)
        record = self.last()[-1]
        self.assertEqual(("run.abort", "signal", "bomb"), (record["type"], record["cause"], record["step"]))
        self.assertIn("stopped by SIGTERM", record["text"])

    def test_a_timeout_ends_a_step_that_computes(self):
        done = self.step("while true do end", opts='{ timeout = "300ms" }, ')
        self.expect(done, code=1, err=["step 'Try' took longer than its timeout of 300ms"], absent=["without end"])
        self.assertLess(done.computed, 1.5)
        done = self.step('parallel { { "a", function() while true do end end } }', opts='{ timeout = "300ms" }, ')
        self.expect(done, code=1, err=["step 'Try' took longer than its timeout of 300ms"])
        done = self.step(BOMBS["find"], opts='{ timeout = "300ms" }, ')
        self.expect(done, code=1, err=["the step's timeout was over, and it computed on in a call that cannot be interrupted"])
        self.assertLess(done.computed, 1.5)
        self.assertEqual("timeout", self.last()[-1]["cause"])

    def test_a_step_that_timed_out_computing_is_tried_again(self):
        done = self.step("if p then note('tries') end while true do end",
                         opts='{ timeout = "200ms", retry = { times = 1, after = "10ms" } }, ')
        self.expect(done, code=1, out=["attempt 1 failed: step 'Try' took longer than its timeout of 200ms; trying again"])
        self.assertEqual(2, len(self.last("step.start")))

    def test_what_ended_itself_is_told_and_goes_on_once_it_is_mended(self):
        book = ('step("Before", function() shell.run { "touch", "%s" } end)\n' % self.path("touched")
                + 'step("Try", function() %s end)\nstep("After", function() note("went on") end)\n')
        self.expect(self.play(book % BOMBS["find"], "--deadline", "2s"), code=124)
        run = self.run_ids()[-1]
        self.assertTrue(os.path.exists(self.path("touched")))
        self.expect(self.opsrun("status"), code=0, out=[f"{run}  interrupted", "at step try", "a call that cannot be interrupted",
                                                        f"opsrun resume {run}"])
        self.expect(self.opsrun("log", run), code=0, out=["opsrun ended itself, exit 124, in step try: the run's deadline was over",
                                                          "interrupted: opsrun ended itself, no change was in flight"])
        self.expect(self.opsrun("verify", run), code=4, out=["UNANCHORED"])
        os.unlink(self.path("touched"))
        self.write("books/trial.lua", 'playbook { title = "Trial", uses = { shell = { "touch", "false" } } }\n' + book % "note 'mended'")
        self.expect(self.opsrun("resume", run, "--edited"), code=0, out=["mended", "went on"])
        self.assertFalse(os.path.exists(self.path("touched")), "a recorded change was made again")

    def test_with_a_change_in_flight_the_outcome_is_unknown(self):
        done = self.step('parallel { { "change", function() shell.run { "false", timeout = "1h" } shell.run { "touch", "%s" } end },\n'
                         '{ "bomb", function() sleep("200ms"); %s end } }' % (self.path("x"), BOMBS["find"]), "--deadline", "2s")
        self.assertIn(done.code, (1, 124), done)      # the change was over: nothing is in doubt
        slow = self.environment('return { http = { api = { base = "http://127.0.0.1:%d" } } }' % self.silent_port())
        done = self.play('step("Try", function()\nparallel { { "change", function() http("api"):post("/x", { body = "x" }) end },\n'
                         '{ "bomb", function() sleep("200ms"); %s end } }\nend)\n' % BOMBS["find"], *slow, "--deadline", "2s",
                         header='playbook { title = "Trial", uses = { http = { "*" } } }\n')
        self.expect(done, code=7, err=["in a call that cannot be interrupted"])
        self.expect(self.opsrun("status"), code=0, out=["in doubt: .*POST"])

    def silent_port(self):
        """A server that takes connections and says nothing."""
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        self.addCleanup(listener.close)
        return listener.getsockname()[1]

    def test_a_terminal_that_stands_still_is_no_computation(self):
        path = self.write("talk.lua", 'playbook { title = "Talk" }\nstep("Talk", function()\n'
                          'for i = 1, 300 do note(("x"):rep(1000)) end\nend)\n')
        process = self.start("play", path, "-e", "lab", "--deadline", "300ms")
        time.sleep(3)         # nobody reads: it waits in a write, longer than any computation may last
        self.assertIsNone(process.poll())
        out, _ = process.communicate(timeout=30)
        self.assertIn(process.returncode, (0, 124))
        self.assertNotIn("run.abort", [r["type"] for r in self.last()])

    def test_a_playbook_that_computes_while_it_loads_is_refused(self):
        done = self.play("local _ = " + BOMBS["find"] + "\n")
        self.expect(done, code=3, err=["the playbook computes without end while it is loaded", "what computes belongs into a step"])
        self.assertLess(done.computed, 8)
        self.expect(self.play("while true do end\n"), code=3, err=["it does not come to an end"])

    def test_without_deadline_or_signal_long_work_is_let_be(self):
        done = self.step("local n = 0 for i = 1, 3e7 do n = n + i end note('n %d', n)")
        self.expect(done, code=0, out=["n 4500"])

    def test_a_size_that_is_none_is_refused(self):
        for size in ("nonsense", "0", "1kb", "-1"):
            self.expect(self.step("note 'x'", "--memory=" + size), code=2, err=["--memory '.*': expected a size from 16mb on"])
        self.expect(self.step("note 'x'", "--memory", "2gb"), code=0)


if __name__ == "__main__":
    main()
