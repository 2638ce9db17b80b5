--- stdlib/indexes over a pretend catalogue: which indexes nobody needs, and what becomes of one that is half made.
local t = require "harness"

--- The module; `answer(text, values)` answers each query, `perform(text)` takes each change.
local function load_indexes(answer, perform)
  local connection = {
    query = function(_, text, values) return answer(text, values) end,
    one = function(_, text, values) return answer(text, values)[1] end,
    exec = function(_, text) return perform(text) end,
  }
  local env = {
    sql = setmetatable({ format = function(text, ...) return (text:gsub("%%I", "%%s"):format(...)) end },
      { __call = function() return connection end }),
    try = function(fn)
      local ok, why = pcall(fn)
      if ok then return why or true end
      return nil, why.message, why.code
    end,
    fail = function(text, ...) error(text:format(...), 0) end,
    wait_until = function(_, _, fn) return assert(fn()) end,
    undo = function() end,
    ensure = function(_, opts) return opts end,
    ipairs = ipairs, math = math, table = table, string = string,
  }
  return assert(loadfile("stdlib/indexes.lua", "t", env))()
end

local function index(name, more)
  local one = { schema = "public", table = "t", name = name, definition = "CREATE INDEX " .. name .. " ON public.t USING btree (a)",
                bytes = 1000, scans = 0, valid = true, building = false, needed = false, alike = name }
  for key, value in pairs(more or {}) do one[key] = value end
  return one
end

local function names(list)
  local found = {}
  for i, one in ipairs(list) do found[i] = one.name end
  return table.concat(found, " ")
end

t.test("unused is what no statement used, is valid, and nothing needs", function()
  local indexes = load_indexes()
  t.equal(names(indexes.unused { index "a", index("b", { scans = 1 }), index("c", { needed = true }), index("d", { valid = false }) }), "a")
  t.equal(names(indexes.invalid { index "a", index("b", { valid = false }), index("c", { valid = false, building = true }) }), "b")
end)

t.test("of those that are alike one stays: the one that is needed, else the most used, else the first", function()
  local indexes = load_indexes()
  local function twins(first, second)
    first.alike, second.alike = "x", "x"
    return names(indexes.doubled { index "other", index("a", first), index("b", second) })
  end
  t.equal(twins({}, {}), "b")
  t.equal(twins({ scans = 1 }, { scans = 5 }), "a")
  t.equal(twins({ scans = 9 }, { needed = true }), "a")
  t.equal(twins({ needed = true }, { needed = true }), "")
  t.equal(twins({}, { valid = false }), "")
end)

t.test("bloated is what is large and mostly empty; of what has no expected size nothing is said", function()
  local indexes = load_indexes()
  local list = { index("a", { expected = 100 }), index("b", { expected = 900 }), index "c", index("d", { bytes = 10, expected = 1 }) }
  t.equal(names(indexes.bloated(list, 50, 500)), "a")
end)

t.test("an index is named alone, or with its schema where two have the name; any other is refused", function()
  local indexes = load_indexes()
  local list = { index "a", index "b", index("b", { schema = "old" }), index "a" }
  t.equal(indexes.named(list, { "a", "old.b" }, "unused")[2].schema, "old")
  t.equal(#indexes.named(list, { "a", "public.b" }, "unused"), 2)
  t.contains(select(2, pcall(indexes.named, list, { "b" }, "unused")), "several of the name 'b'")
  t.contains(select(2, pcall(indexes.named, list, { "c" }, "unused")), "'c' is not unused")
end)

t.test("what is to be made is taken apart, and its table must be there", function()
  local indexes = load_indexes(function(_, values)
    return values[1] ~= "nowhere" and { { schema = "public", table = "t", bytes = 1, rows = 1 } } or {}
  end)
  t.equal(indexes.wanted("db", "Orders_User ON public.orders (user_id)").name, "orders_user")
  t.equal(indexes.wanted("db", '"Odd Name" on "User" (id)').name, "Odd Name")
  t.equal(select(2, pcall(indexes.wanted, "db", "i ON nowhere (id)")), "there is no table nowhere in db")
  t.contains(select(2, pcall(indexes.wanted, "db", "DROP TABLE orders")), "is no 'NAME ON TABLE (COLUMNS)'")
end)

t.test("an index that is half made is dropped and made; one that cannot be made leaves none behind", function()
  local there, done, broken
  local indexes = load_indexes(function() return there and { there } or {} end, function(text)
    done[#done + 1] = text:match "%a+ INDEX"
    if text:find "^DROP" then there = nil return end
    if there then error({ message = "exists", code = "42P07" }, 0) end
    there = index("i", { valid = not broken })
    if broken then error({ message = broken, code = "22012" }, 0) end
  end)
  local function make()
    done = {}
    local ok, why = pcall(indexes.create("db", { schema = "public", name = "i", text = "i ON t (a)" }, "1h").make)
    return ok or why
  end
  t.equal(make(), true)
  t.equal(done, { "CREATE INDEX" })
  there = index("i", { valid = false })
  t.equal(make(), true)
  t.equal(done, { "DROP INDEX", "CREATE INDEX" })
  there, broken = nil, "division by zero"
  t.equal(make(), "division by zero")
  t.equal({ done, there == nil }, { { "CREATE INDEX", "DROP INDEX" }, true })
end)
