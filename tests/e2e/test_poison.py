"""Playbooks that try to alter what opsrun and other steps rest on: each is told what is wrong, or alters what is its
own only. After each attempt a step looks whether the world is as it was."""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import main  # noqa: E402
from author import AuthorTest  # noqa: E402

# What a step tries, and what it is told; None: it goes well, and is nobody else's business.
POISONS = {
    "the metatable of texts": ('getmetatable("").__index = {}', "attempt to index a string value"),
    "another metatable for texts": ('setmetatable("", {})', "table expected, got string"),
    "a method of texts": ('("").rep = function() return "poison" end', "attempt to index a string value"),
    "string.rep": ('string.rep = function() return "poison" end', "'string.rep' cannot be assigned: it belongs to opsrun"),
    "table.sort": ("table.sort = nil", "'table.sort' cannot be assigned"),
    "math.floor": ("math.floor = math.ceil", "'math.floor' cannot be assigned"),
    "utf8.char": ("utf8.char = nil", "'utf8.char' cannot be assigned"),
    "pairs": ("pairs = next", "'pairs' cannot be assigned: it belongs to opsrun"),
    "a name through _ENV": ("_ENV.step = nil", "'step' cannot be assigned"),
    "a new name through _ENV": ("_ENV.poison = 1", "undeclared global 'poison' is assigned"),
    "the metatable of _ENV": ("setmetatable(_ENV, {})", "cannot change a protected metatable"),
    "an _ENV of its own": ("local _ENV = { pairs = 1 } pairs = 2", None),
    "a library of effects": ("http.get = nil", "'http.get' cannot be assigned"),
    "the metatable of a library": ("setmetatable(http, {})", "cannot change a protected metatable"),
    "what a library's metatable holds": ("getmetatable(http).__index = {}", "attempt to index a string value"),
    "a stdlib module": ('require("postgres").connections = nil', "'postgres.connections' cannot be assigned"),
    "the metatable of a stdlib module": ('setmetatable(require("postgres"), {})', "cannot change a protected metatable"),
    "rawset": ('rawset(string, "rep", nil)', "undeclared global 'rawset'"),
    "debug": ("debug.setmetatable(1, {})", "undeclared global 'debug'"),
    "load": ('load("return 1")', "undeclared global 'load'"),
    "coroutine": ("coroutine.wrap(function() end)()", "undeclared global 'coroutine'"),
    "collectgarbage": ('collectgarbage("stop")', "undeclared global 'collectgarbage'"),
    "bytecode": ('("").dump(function() end)', "attempt to call a nil value"),
    "a parameter": ('p.text = "poison"', "parameter 'text' cannot be assigned"),
    "a list in a parameter": ('p.names[1] = "poison"', None),
    "more in a parameter's list": ('table.insert(p.names, "poison")', None),
    "the order of a parameter's list": ("table.sort(p.names, function(a, b) return a > b end)", None),
    "a duration": ("p.wait.seconds = 1", "a duration cannot be changed: make a new one"),
    "a size": ("p.room.bytes = 1", "a size cannot be changed"),
    "a time": ("now().epoch = 1", "a time cannot be changed"),
    "a window": ('time.window(now(), now() + "1h").label = "poison"', "a window cannot be changed"),
    "another step's result": ('earlier().text = "poison" earlier().list[1] = "poison"', None),
    "another step's handle": ("earlier.text = 1", "step 'Earlier' cannot be assigned to"),
    "the metatable of a handle": ("setmetatable(earlier, {})", "cannot change a protected metatable"),
    "a connection's name": ('sql("primary").name = "poison"', None),
    "the mark of JSON's lists": ("getmetatable(json.array {}).__len = function() return 0 end", "attempt to index a boolean value"),
    "another metatable for a JSON list": ("setmetatable(json.array {}, {})", "cannot change a protected metatable"),
    "JSON's null": ("getmetatable(json.null).__tostring = nil", "attempt to index a boolean value"),
    "a named threshold": ('thresholds.of("disk_used").above.critical = 1', None),
    "a finalizer": ("setmetatable({}, { __gc = function() end })", "'__gc' is not for playbooks"),
    "a weak table": ('setmetatable({}, { __mode = "k" })', "'__mode' is not for playbooks"),
    "a closer": ("setmetatable({}, { __close = function() end })", "'__close' is not for playbooks"),
    "a table that calls itself a secret": ('setmetatable({}, { __metatable = "secret" })', "'__metatable' is not for playbooks"),
    "a table that calls itself a secret, later":
        ('local mt = {} local t = setmetatable({}, mt) mt.__metatable = "secret" http("api"):get("/api/health", { headers = { ["X-A"] = t } })',
         "X-A"),
    "a closer, later": ('local mt = {} local t = setmetatable({}, mt) mt.__close = function() fail "hidden" end\n'
                        'local closed <close> = t\nlocal nothing nothing.field = 1', "attempt to index a nil value"),
    "a typo hidden by try": ("try(function() local nothing nothing.field = 1 end)", "attempt to index a nil value"),
    "endless recursion": ("local function f(n) return 1 + f(n) end f(1)", "stack overflow"),
    "a deep table": ("local t = {} for _ = 1, 2e5 do t = { t } end show(t) return t", None),
    "a table that holds itself": ('local t = {} t.t = t show(t) note("%s", t) return t', None),
    "a text without end": ('("x"):rep(1 << 32)', "a text may be repeated to 256 MiB"),
    "a format without end": ('("%9999d"):format(1)', "invalid conversion"),
    "an address": ('("%p"):format({})', "addresses are not shown"),
    "captures without end": ('("x"):find(("()"):rep(40))', "too many captures"),
    "a comparison that raises": ('table.sort({ 3, 2, 1 }, function() error("no order", 0) end)', "no order"),
    "a comparison that waits": ('table.sort({ 3, 2, 1 }, function() sleep("1ms") end)', "cannot wait inside 'table.sort'"),
    "a comparison without sense": ("table.sort({ 3, 1, 2, 5, 4, 3, 1, 2 }, function() return true end)", "invalid order function"),
    "a replacement that waits": ('("x"):gsub("x", function() sleep("1ms") end)', "cannot wait inside 'string.gsub'"),
    "options that raise":
        ('sql("primary"):query("SELECT 1", {}, setmetatable({}, { __pairs = function() error("mine", 0) end }))', "mine"),
    "a text for JSON that raises": ('json.encode(setmetatable({}, { __json = function() error("mine", 0) end }))', "mine"),
    "an error whose text raises": ("error(setmetatable({}, { __tostring = function() error('mine', 0) end }))", "error"),
    "a result whose JSON raises": ("return setmetatable({}, { __json = function() error('mine', 0) end })", None),
    "a result that cannot be gone through": ("return setmetatable({ 1 }, { __pairs = function() error('mine', 0) end, "
                                             "__len = function() error('mine', 0) end })", None),
    "a value to check whose text raises":
        ("check('poison', setmetatable({}, { __tostring = function() error('mine', 0) end }))", None),
    "something to show whose fields raise": ("show(setmetatable({}, { __index = function() error('mine', 0) end }))", None),
    "an argument list that changes": ('local looks = 0 local t = setmetatable({}, { __index = function(_, i) if i == 1 then '
        'looks = looks + 1 return looks == 1 and "true" or "false" end end, __len = function() return 1 end }) '
        'if shell.read(t).code ~= 0 then fail "another command ran than the one that was judged" end', "the command is empty"),
    "an error that is nothing": ("error(nil)", "error value: nil"),
    "an error of 10 MB": ('error(("x"):rep(1e7))', "xxx"),
}

BOOK = """playbook {
  title = "Poison",
  params = {
    text = { type = "string", default = "x" }, wait = { type = "duration", default = "5s" },
    room = { type = "size", default = "1mb" }, names = { type = "list", of = "string", default = { "a", "b" } },
  },
}
local earlier

local function same(what, got, wanted)
  if got ~= wanted then fail("%%s: %%s, not %%s", what, got, wanted) end
end

local function sound(p)
  same("rep", ("x"):rep(3) .. string.rep("y", 2), "xxxyy")
  same("format", ("%%d %%s %%%%p"):format(1, {}), "1 table %%p")
  same("concat", table.concat({ 1, 2, 3 }, ","), "1,2,3")
  same("floor", math.floor(1.5), 1)
  same("utf8", utf8.char(228), "ä")
  local list = { 2, 3, 1 }
  table.sort(list)
  same("sort", table.concat(list), "123")
  local keys = ""
  for key in pairs { b = 1, a = 2, c = 3 } do keys = keys .. key end
  same("pairs", keys, "abc")
  same("tostring", tostring(setmetatable({}, { __tostring = function() return "mine" end })), "mine")
  same("text", p.text, "x")
  same("wait", tostring(p.wait), "5s")
  same("room", tostring(p.room), "1mb")
  same("names", table.concat(p.names, ","), "a,b")
  same("earlier", earlier().text .. #earlier().list .. earlier().list[1], "x21")
  same("threshold", thresholds.of("disk_used").above.critical > 1, true)
  same("null", tostring(json.null), "null")
  same("json", json.encode { a = json.array {}, b = { 1, json.null } }, '{"a":[],"b":[1,null]}')
  same("sql", sql("primary"):one("SELECT 1 AS n").n, 1)
  same("array", #sql("primary"):one("SELECT '{1,2}'::int[] AS a").a, 2)
  same("http", http("api"):get("/api/health").status, 200)
  same("postgres", type(require("postgres").connections), "function")
  same("error", select(2, try(function() fail "as it was" end)), "as it was")
end

earlier = step("Earlier", function() return { text = "x", list = { 1, 2 } } end)

group("Poisons", { keep_going = true }, function()
%s
end)
"""

PAIR = """
step(%s, { id = "poison-%d" }, function(p)
%s
end)
step("Look %d", { id = "look-%d" }, sound)
"""


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Poison(AuthorTest):

    def poison(self, *words):
        pairs = "".join(PAIR % (quoted(name), i, body, i, i) for i, (name, (body, _)) in enumerate(POISONS.items()))
        return self.play(BOOK.replace("%s\nend)\n", pairs.replace("%", "%%") + "\nend)\n") % (), *words, header="")

    def test_each_is_told_and_alters_nothing(self):
        done = self.poison("--json")
        ends = {e["id"]: e for e in self.events(done, "step.end")}
        effects = 0
        for i, (name, (_, wanted)) in enumerate(POISONS.items()):
            with self.subTest(name):
                poison, look = ends[f"poison-{i}"], ends[f"look-{i}"]
                effects += look["state"] != "done"
                self.assertEqual("done", look["state"], look)
                if wanted is None:
                    self.assertEqual("done", poison["state"], poison)
                else:
                    self.assertEqual("failed", poison["state"], poison)
                    self.assertRegex(poison["failure"]["message"], wanted)
                    self.assertNotRegex(poison["failure"].get("where") or "", r"runtime\.")
        print(f"{len(POISONS)} poisonings, {effects} with an effect on other steps")
        self.assertLess(len(done.out), 1_000_000, "an error of 10 MB is told in full")

    def test_the_report_for_people_comes_to_its_end(self):
        done = self.poison()
        self.expect(done, code=1, out=[r"FAILED   Poison", r"journal +\d+ records"], absent=["bug of opsrun"])
        self.assertEqual("failed", self.last("run.end")[0]["state"])
        states = [r["state"] for r in self.last("step.end") if r["step"].startswith("look-")]
        self.assertEqual(["done"] * len(POISONS), states)
        self.assertLess(len(done.text), 1_000_000)


if __name__ == "__main__":
    main()
