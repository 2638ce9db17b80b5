"""Steps that do not come to an end by themselves, and how they are told to: shared by tests/e2e and tests/full.

A body is what stands in the step's function. LOOPS are seen from inside (Lua's own code), BOMBS are one call of Lua's
library each and seen from beside, MEMORY takes more than there is."""

SPIN = "while true do end"

LOOPS = {
    "a bare loop": SPIN,
    "repeat": "repeat until false",
    "goto": "::again:: goto again",
    "calls": "local function f() return 1 end while true do f() end",
    "a count without end": "for _ = 1, math.huge do end",
    "a growing and shrinking text": 'local s = "" while true do s = s .. "x" if #s > 100000 then s = "" end end',
    "in try": "while true do try(function() while true do end end) end",
    "in attempt": f"while true do attempt(function() {SPIN} end) end",
    "in wait_until": f'wait_until("it", {{ within = "1h", every = "1s" }}, function() {SPIN} end)',
    "in a branch": f'parallel {{ {{ "a", function() {SPIN} end }}, {{ "b", function() sleep("1s") end }} }}',
    "in each, told to keep going": f"each({{ 1, 2, 3 }}, {{ keep_going = true }}, function() {SPIN} end)",
    "in a metamethod": f"local t = setmetatable({{}}, {{ __index = function() {SPIN} end }}) return t.x",
    "in __pairs": f"for _ in pairs(setmetatable({{}}, {{ __pairs = function() {SPIN} end }})) do end",
    "in __tostring of an error": f"error(setmetatable({{}}, {{ __tostring = function() {SPIN} end }}))",
    "in __json of a result": f'step("Inner", function() return setmetatable({{}}, {{ __json = function() {SPIN} end }}) end) sleep("5s")',
    "in a comparison": f"table.sort({{ 1, 2 }}, function() {SPIN} end)",
    "in a replacement": f'("x"):gsub("x", function() {SPIN} end)',
    "in a closer": f"local mt = {{}} local t = setmetatable({{}}, mt) mt.__close = function() {SPIN} end do local x <close> = t end",
    "in an iterator": f"for _ in function() {SPIN} end do end",
    "sleeps of nothing": 'while true do sleep("0s") end',
    "in a transaction": f'sql("primary"):transaction(function(tx) {SPIN} end)',
    "in a step inside": f'step("Inner", function() {SPIN} end)',
}

BOMBS = {
    "find": '("a"):rep(3e6):find(".-b")',
    "a pattern of options": '("a"):rep(28):find(("a?"):rep(28) .. ("a"):rep(28) .. "b")',
    "match": '("a"):rep(2e6):match("(.-)b")',
    "gmatch": 'for _ in ("a"):rep(3e6):gmatch("a-b") do end',
    "gsub": '("a"):rep(2e6):gsub("a-b", "")',
    "move": "table.move({}, 1, 1 << 60, 2)",
    "concat of nothing": "table.concat(setmetatable({}, { __len = function() return 1 << 60 end, "
                         "__index = function() return '' end }))",
    "sort without order": "local t = {} for i = 1, 6e6 do t[i] = i % 7 end table.sort(t)",
    "unpack again and again": "local t = {} for i = 1, 2e5 do t[i] = i end while true do select('#', table.unpack(t)) end",
    "rep of nothing": "while true do ('x'):rep(2e8) end",
    "utf8": "local s = ('\\xc3\\xa4'):rep(5e7) while true do utf8.len(s) end",
    "format": "local s = ('x'):rep(1e8) while true do local _ = ('%q'):format(s) end",
    "remove from the front": "local t = {} for i = 1, 1e6 do t[i] = i end while true do table.remove(t, 1) t[#t + 1] = 1 end",
    "json": "local t = {} for i = 1, 1e6 do t[i] = 'x' end while true do json.encode(t) end",
}

MEMORY = {
    "a list": "local t = {} for i = 1, 1e10 do t[i] = i end",
    "tables in tables": "local t = {} while true do t = { t, {} } end",
    "a text that doubles": 'local s = "x" while true do s = s .. s end',
    "texts in a list": 'local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(100) .. i end',
    "functions": "local t = {} for i = 1, 1e9 do t[i] = function() return t, i end end",
    "concat": 'local t = {} for i = 1, 1000 do t[i] = ("x"):rep(1e5) end for _ = 1, 30 do t[#t + 1] = table.concat(t) end',
    "gsub": '("x"):rep(1e6):gsub(".", ("y"):rep(1e6))',
    "pack": "local t = table.pack(table.unpack({}, 1, 9e5)) local all = {} for i = 1, 1e9 do all[i] = table.pack(table.unpack(t, 1, t.n)) end",
    "in try": 'while true do try(function() local t = {} for i = 1, 1e10 do t[i] = { i } end end) end',
    "in a metamethod": "local t = setmetatable({}, { __index = function(self, i) self[i + 1e9] = {} return nil end }) "
                       "for i = 1, 1e9 do local _ = t[i] end",
    "in branches": "local function grow() local t = {} for i = 1, 1e9 do t[i] = { i } end end "
                   'parallel { { "a", grow }, { "b", grow } }',
    "a text for JSON": 'local t = {} for i = 1, 300 do t[i] = ("x"):rep(1e5) end json.encode(t)  json.encode { t, t, t, t, t, t, t }',
}
