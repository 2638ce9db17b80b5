"""Nothing acts on the outside but effects: in a trace of system calls every one that does lies between the gate's marks."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import AuthorTest  # noqa: E402
from harness import OPSRUN, ROOT, Done, main  # noqa: E402
from trace_judge import CALLS, Judge  # noqa: E402

HEADER = """playbook { title = "Trial", tell = { team = "always" }, uses = { shell = { "touch", "date", "false" }, files = { "ROOM" },
  notify = { "team", "oncall", "report" }, state = { "alerts" } } }
"""
STEPS = """
step("Reads", function()
  sql "primary":query("SELECT 1") sql "primary":each("SELECT id FROM users", {}, function() end)
  redis "cache":get("x") redis "secure":call("DBSIZE") for _ in redis "cache":scan { match = "*" } do end
  http "api":get("/health") http "secure":get("/health") http "secure":certificate()
  shell.read("id; ps -e | wc -l") shell.read({ "date" }, { host = "web1" })
  files.list("ROOM", { recursive = true }) files.checksum("ROOM/books/trial.lua") files.filesystems()
  logs "app":scan { all = { top = 3 } } sleep "10ms" state():get("a")
  try(function() sql "primary":query("SELECT 1 / 0") end)
  check("x", 1, { above = { critical = 5 } })
end)
step("Side by side", function()
  parallel { { "a", function() http "api":get("/health") end }, { "b", function() sql "primary":query("SELECT count(*) FROM generate_series(1, 100000)") end },
    { "c", function() shell.read("sleep 0.1") end } }
  wait_until("there", { every = "20ms", within = "1s" }, function() return redis "cache":call("DBSIZE") end)
end)
step("Changes", function()
  sql "primary":exec("UPDATE feature_flags SET enabled = enabled")
  sql "primary":transaction(function(tx) tx:exec("UPDATE feature_flags SET enabled = enabled") end)
  sql "primary":copy_in("events", { { "trace" } }, { columns = { "name" } })
  redis "cache":set("x", "1") http "api":post("/x", { expect = "any" }) shell.run { "touch", "ROOM/touched" }
  files.write("ROOM/written", "x", { create = true }) files.append("ROOM/written", "y") files.compress("ROOM/written")
  notify "team" "hello" notify "oncall" "hello" artifact("x", "y") state():set("a", 1) state "alerts":set("a", 1)
  ensure("x is 2", { is = function() return redis "cache":get("x") == "2" end, make = function() redis "cache":set("x", "2") end,
    back = function() redis "cache":set("x", "1") end, lasts = "run" })
  always("tidy", function() files.remove("ROOM/touched") end)
end)
"""


class Trace(AuthorTest):

    def traced(self, *words, marks="1", env=None):
        """Plays under strace; how it ended, and the judge of the trace."""
        path = self.path(f"trace{len(os.listdir(self.room))}")
        argv = ["strace", "-f", "-yy", "-qq", "-s", "120", "-e", "signal=none", "-o", path, "-e", f"trace={CALLS}", OPSRUN, *words]
        done = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300,
                              env=self.environ(OPSRUN_TRACE=marks, **(env or {})))
        return Done(argv, done.returncode, done.stdout, done.stderr, 0), Judge(self.home).read(path)

    def expect_marked(self, *words, effects, codes=(0,), env=None):
        done, judge = self.traced(*words, env=env)
        self.assertIn(done.code, codes, done)
        self.assertEqual(judge.outside, [], f"acted outside of an effect\n{done}")
        self.assertEqual(judge.open, 0, "a mark was not closed")
        self.assertGreaterEqual(judge.effects, effects, done)
        return judge

    def book(self, ending=""):
        return self.write("books/trial.lua", (HEADER + STEPS + ending).replace("ROOM", self.room))

    def test_no_call_acts_outside_an_effect(self):
        path = self.book()
        live = self.expect_marked("play", path, "-e", "lab", effects=35)
        self.assertGreater(live.inside, 100)
        dry = self.expect_marked("play", path, "-e", "lab", "-n", effects=30)
        print(f"live: {live.inside} calls of {live.effects} effects, 0 outside; dry: {dry.inside} of {dry.effects}, 0 outside")

    def test_nor_where_a_run_fails_and_takes_back(self):
        path = self.book('step("Fails", function() undo("back", function() redis "cache":set("x", "7") end)\n'
                         'redis "cache":set("x", "8") shell.run { "false" } end)\n')
        self.expect_marked("play", path, "-e", "lab", "--undo-on-failure", effects=35, codes=(1, 8))

    def test_nor_in_the_playbooks(self):
        self.lab.call("backup")
        self.expect_marked("play", "daily/health-check.lua", "-e", "lab", effects=12, codes=(0, 1))
        self.expect_marked("play", "weekly/backup-verification.lua", "-e", "lab", "--yes", "-p", f"workdir={self.room}", effects=20)
        for playbook in ("incident/db-exhaustion.lua", "incident/redis-memory.lua"):
            self.expect_marked("play", playbook, "-e", "lab", "-n", effects=5, codes=(0, 1))

    def test_nor_in_commands_that_play_nothing(self):
        self.expect(self.opsrun("play", self.book(), "-e", "lab", "-n"), code=0)
        for words in (("list",), ("check", self.book()), ("show", "daily/health-check.lua"), ("params", "daily/health-check.lua", "-e", "lab"),
                      ("runs",), ("status",), ("log", self.run_ids()[0]), ("verify", self.run_ids()[0])):
            done, judge = self.traced(*words)
            self.assertEqual((judge.outside, judge.inside), ([], 0), done)

    def test_without_the_marks_the_same_calls_are_seen_outside(self):
        done, judge = self.traced("play", self.book(), "-e", "lab", marks="0")
        self.expect(done, code=0)
        self.assertEqual(judge.effects, 0)
        self.assertGreater(len(judge.outside), 100)
        for call in ("connect", "sendto", "execve|clone|vfork", "openat", "unlink"):
            self.assertTrue(any(re.match(call, text) for text in judge.outside), f"the judge sees no {call}")


if __name__ == "__main__":
    main()
