"""A step that computes without end is ended by what ends any other step."""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import main, wait_until  # noqa: E402
from author import AuthorTest  # noqa: E402

LOOPS = {
    "a bare loop": "while true do end",
    "a loop in try": "while true do try(function() while true do end end) end",
    "a loop in a sort": "table.sort({ 1, 2 }, function() while true do end end)",
    "a loop in a branch": 'parallel { { "a", function() while true do end end }, { "b", function() sleep("1s") end } }',
    "a growing text": 'local s = "" while true do s = s .. "x" if #s > 100000 then s = "" end end',
}


class Runaway(AuthorTest):

    def test_the_deadline_ends_it(self):
        for name, body in LOOPS.items():
            with self.subTest(name):
                done = self.step(body, "--deadline", "500ms")
                self.expect(done, code=124)
                self.assertLess(done.seconds, 2.5, done)

    def test_a_signal_ends_it_and_always_runs(self):
        path = self.write("spin.lua", 'playbook { title = "Spin" }\nstep("Spin", function()\n'
                          'always("note the end", function() note("the end was noted") end)\nwhile true do end\nend)\n')
        process = self.start("play", path, "-e", "lab")
        wait_until(lambda: self.run_ids())
        time.sleep(0.3)       # it spins by now; a signal before would be the easier case
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        self.assertEqual(process.returncode, 130, (out, err))
        self.assertIn(b"the end was noted", out)

    def test_without_deadline_or_signal_long_work_is_let_be(self):
        done = self.step("local n = 0 for i = 1, 3e7 do n = n + i end note('n %d', n)")
        self.expect(done, code=0, out=["n 4500"])


if __name__ == "__main__":
    main()
