"""opsrun check refuses a change's result used bare in a condition, and nothing else."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import OPSRUN  # noqa: E402

# Each is the body of a step, behind `local db, cache = sql "primary", redis "cache"` of the file. In a case that is
# wrong the line that asks is the one with ??? in a comment.
WRONG = [
    'if sql "primary":exec "x" then note "?" end -- ???',
    'if not sql "primary":exec "x" then note "?" end -- ???',
    'if sql(p.db):exec "x" then note "?" end -- ???',
    'if db:exec "x" then note "?" end -- ???',
    'if sql "primary":database "b":exec "x" then note "?" end -- ???',
    'if sql "primary":transaction(function() end) then note "?" end -- ???',
    'if sql "primary":exec "x" == nil then note "?" end -- ???',
    'if sql "primary":exec "x" ~= nil then note "?" end -- ???',
    'if nil == sql "primary":exec "x" then note "?" end -- ???',
    'if sql "primary":exec "x" == true then note "?" end -- ???',
    'if sql "primary":exec "x" == 0 then note "?" end -- ???',
    'if shell.run { "true" } == "ok" then note "?" end -- ???',
    'local r = sql "primary":exec "x"\nif r then note "?" end -- ???',
    'local r = sql "primary":exec "x"\nnote "between"\nlocal a = 1\nif a and r then note "?" end -- ???',
    'local r = sql "primary":exec "x"\nif not r then note "?" end -- ???',
    'local r = sql "primary":exec "x"\nlocal s = r\nif s then note "?" end -- ???',
    'local r = sql "primary":exec "x"\nlocal failed = not r -- ???\nnote(tostring(failed))',
    'local r = sql "primary":exec "x" or fail "no" -- ???\nnote(tostring(r))',
    'local r = sql "primary":exec "x"\nlocal n = r and r.count or 0 -- ???\nnote(tostring(n))',
    'local r\nif p.a then r = db:exec "x" else r = db:exec "y" end\nif r then note "?" end -- ???',
    'local r\nr = shell.run { "true" }\nwhile r do break end -- ???',
    'local r = files.remove "/tmp/x"\nrepeat note "?" until r -- ???',
    'for i = 1, 3 do\n  local r = http.post "https://x"\n  if r then note "?" end -- ???\nend',
    'if p.a then note "a"\nelseif http "api":delete "/x" then note "?" end -- ???',
    'local r = sql "primary":exec "x"\neach({ 1 }, function() if r then note "?" end end) -- ???',
    'if cache:set("a", "1") then note "?" end -- ???',
    'if redis "cache":del "a" == 1 then note "?" end -- ???',
    'if notify "team" "hello" then note "?" end -- ???',
    'local run = shell.run\nif run { "true" } then note "?" end -- ???',
    'return sql "primary":exec "x" and "done" or "failed" -- ???',
    'local r, other = sql "primary":exec "x", 5\nif r and other then note "?" end -- ???',
    'if service "app":restart() then note "?" end -- ???',
]

RIGHT = [
    'if sql "primary":exec("x").count > 0 then note "?" end',
    'local r = sql "primary":exec "x"\nif r.count == 0 then note "?" end',
    'local n = sql "primary":exec("x").count\nif n then note "?" end',
    'if sql "primary":value "x" then note "?" end',
    'if sql "primary":one "x" == nil then note "?" end',
    'local row = db:one "x"\nif not row then note "?" end',
    'if try(function() return sql "primary":exec "x" end) then note "?" end',
    'local r = try(function() return db:exec "x" end)\nif not r then note "?" end',
    'if attempt(function() db:exec "x" end) then note "?" end',
    'local r\nif p.a then r = db:exec "x" end\nif r then note "?" end',
    'local r = nil\nif p.a then r = db:exec "x" end\nif not r then note "?" end',
    'local r\nif p.a then r = db:exec "x" else r = db:one "y" end\nif r then note "?" end',
    'local r = db:exec "x"\nr = db:one "y"\nif r then note "?" end',
    'local r = db:exec "x"\nnote(tostring(r.count))\nlocal q = p.a\nif q then note "?" end',
    'do local r = db:exec "x" note(tostring(r.count)) end\nlocal q = p.a\nif q then note "?" end',
    'local r\neach({ 1 }, function() r = db:exec "x" end)\nif r then note "?" end',
    'local r = db:exec "x"\neach({ 1 }, function() r = nil end)\nif r then note "?" end',
    'local last\nfor i = 1, 3 do\n  if last then note(last.count) end\n  last = db:exec "x"\nend',
    'local done = {}\ndone.r = db:exec "x"\nif done.r then note "?" end',
    'local done = { db:exec "x" }\nif done[1] then note "?" end',
    'local function change() return db:exec "x" end\nif change() then note "?" end',
    'if redis "cache":get "a" == "1" then note "?" end',
    'if cache:exists "a" == 1 then note "?" end',
    'if cache:call("GET", "a") then note "?" end',
    'if redis "cache":ttl "a" == -1 then note "?" end',
    'if files.stat "/x" then note "?" end',
    'if shell.read({ "true" }, { codes = { 0, 1 } }).code == 0 then note "?" end',
    'local res = http "api":get "/x"\nif res.json and res.json.ok then note "?" end',
    'local r = db:exec "x"\nif p.r then note(tostring(r.count)) end',
    'local r = db:exec "x"\nif r == p.other then note "?" end',
    'local exec = p.a and shell.run or shell.read\nif exec { "true" } then note "?" end',
    'local my = { exec = function() return nil end }\nif my:exec "x" then note "?" end',
    'local sql = { exec = function() return nil end }\nif sql.exec "x" then note "?" end',
    'local _, second = db:exec "x"\nif second then note "?" end',
    'if wait_until("so", { every = "1s", within = "2s" }, function() return true end) then note "?" end',
    'local r = p.a or db:exec "x"\nif r == p.a then note "?" end',
    'check("x", db:exec("x").count, { expect = 1 })',
    'if type(db:exec "x") == "table" then note "?" end',
    'local c = choose("which", { { id = "a", label = "a", fn = function() return db:exec "x" end } })\nif c then note "?" end',
    'local ok, why = attempt(function() db:exec "x" end)\nif not ok then fail("%s", why) end',
]

HEAD = """playbook { title = "Conditions", params = { db = { type = "sql", default = "primary" } } }
local db, cache = sql "primary", redis "cache"
step("Try it", function(p)
"""


class Conditions(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.room = tempfile.mkdtemp(prefix="opsrun-check-")
        cls.addClassCleanup(shutil.rmtree, cls.room, ignore_errors=True)
        for kind, cases in (("wrong", WRONG), ("right", RIGHT)):
            for i, body in enumerate(cases):
                with open(os.path.join(cls.room, f"{kind}{i}.lua"), "w", encoding="utf-8") as file:
                    file.write(f"{HEAD}{body}\nend)\n")
        done = subprocess.run([OPSRUN, "check", cls.room], stdout=subprocess.PIPE, text=True, check=False)
        cls.findings = {}
        for name, line, message in re.findall(r"^(\w+)\.lua:(\d+): (.*)$", done.stdout, re.MULTILINE):
            cls.findings.setdefault(name, []).append((int(line), message))

    def test_a_changes_result_used_bare_is_found_at_its_line(self):
        for i, body in enumerate(WRONG):
            with self.subTest(body):
                line = HEAD.count("\n") + 1 + body[:body.index("???")].count("\n")
                found = self.findings.get(f"wrong{i}", [])
                self.assertEqual([at for at, message in found if "used bare in a condition" in message], [line], found)
        self.assertGreaterEqual(len(WRONG), 25)

    def test_what_asks_something_is_left_alone(self):
        for i, body in enumerate(RIGHT):
            with self.subTest(body):
                self.assertEqual(self.findings.get(f"right{i}", []), [])
        self.assertGreaterEqual(len(RIGHT), 25)


if __name__ == "__main__":
    unittest.main()
