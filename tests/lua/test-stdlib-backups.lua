--- stdlib/backups over pretend files and commands: which backup is the newest, and what is asked for.
local t = require "harness"

local times = {}
times.__index = times
times.__sub = function(a, b) return type(b) == "number" and setmetatable({ epoch = a.epoch - b }, times) or a.epoch - b.epoch end
times.__lt = function(a, b) return a.epoch < b.epoch end

local function at(epoch)
  return setmetatable({ epoch = epoch }, times)
end

--- The module, loaded with only what the sandbox would give it.
local function load_backups(more)
  local env = {
    require = function() return { holding = function() return nil end } end,
    fail = function(text, ...) error({ message = text:format(...) }, 0) end,
    now = function() return at(1000) end, time = { parse = function(text) return at(tonumber(text)) end },
    always = function() end,
    ipairs = ipairs, pairs = pairs, math = math, table = table, tostring = tostring,
  }
  for name, value in pairs(more or {}) do env[name] = value end
  return assert(loadfile("stdlib/backups.lua", "t", env))()
end

--- A shell whose commands are kept, and whose every answer has these rows.
local function shell_of(rows)
  local calls = {}
  local function call(argv, opts)
    calls[#calls + 1] = { argv = argv, line = table.concat(argv, " "), opts = opts }
    return { rows = function() return rows end, stdout = "" }
  end
  return { read = call, run = call }, calls
end

t.test("the newest is the one written last, whatever its name; files of checksums are no backups", function()
  local shell = shell_of {
    { name = "db/zz-old.dump", bytes = 9, at = "10" }, { name = "db/a.dump", bytes = 5, at = "900" },
    { name = "db/a.dump.sha256", bytes = 1, at = "905" }, { name = "db/b.dump", bytes = 6, at = "600" },
  }
  local list = load_backups({ shell = shell }).list { bucket = "kept", prefix = "db/" }
  t.equal({ list[1].name, list[2].name, list[3].name, #list }, { "db/a.dump", "db/b.dump", "db/zz-old.dump", 3 })
  t.equal(list[1].checksum, "db/a.dump.sha256")
  t.equal(list[2].checksum, nil)
  t.equal(list[1].age, 100)
end)

t.test("the longest gap is between two that follow each other", function()
  local backups = load_backups()
  t.equal(backups.longest_gap { { at = at(900) }, { at = at(600) }, { at = at(500) } }, 300)
  t.equal(backups.longest_gap { { at = at(900) } }, nil)
end)

t.test("a place without a backup is an error that names it", function()
  local backups = load_backups { shell = (shell_of {}) }
  t.equal(t.raises(backups.list, { bucket = "kept", prefix = "db/" }).message, "there is no backup: nothing in s3://kept/db/")
end)

t.test("the key of a bucket is handed over as a variable, never as a word", function()
  local shell, calls = shell_of { { name = "x", bytes = 1, at = "1" } }
  load_backups({ shell = shell }).list { bucket = "kept", prefix = "", endpoint = "http://h:1", access_key = "me", secret_key = "hidden" }
  t.equal(calls[1].opts.env.AWS_SECRET_ACCESS_KEY, "hidden")
  t.equal(calls[1].line:find("hidden", 1, true), nil)
  t.equal(calls[1].line:match "%-%-endpoint%-url %S+", "--endpoint-url http://h:1")
  t.equal(calls[1].opts.net, true)
end)

t.test("the sums of all pages are added up", function()
  local shell = shell_of { { count = 1000, bytes = 5000 }, { count = 12, bytes = 100 } }
  t.equal(load_backups({ shell = shell }).total({ bucket = "kept" }, "media/"), { count = 1012, bytes = 5100 })
end)

t.test("a plain file is restored from where it is; a packed one is copied and unpacked aside", function()
  local shell, calls = shell_of {}
  local files = { filesystems = function() return {} end, mkdir = function() end }
  local backups = load_backups { shell = shell, files = files }
  t.equal(backups.fetch({ dir = "/kept" }, { name = "/kept/x.dump" }, "/var/tmp/d"), { dir = "/kept", name = "x.dump" })
  t.equal(#calls, 0)
  local copy = backups.fetch({ dir = "/kept" }, { name = "/kept/x.dump.gz", bytes = 1 }, "/var/tmp/d")
  t.equal(copy, { dir = "/var/tmp/d", name = "backup.dump", packed = "backup.dump.gz" })
  t.equal({ calls[1].line, calls[2].line }, {
    "cp -- /kept/x.dump.gz /var/tmp/d/backup.dump.gz", "gzip --decompress --keep backup.dump.gz" })
end)

t.test("one is picked by its name or the last part of it; without a name it is the newest", function()
  local list = { { name = "db/b.dump" }, { name = "db/a.dump" } }
  local pick = load_backups().pick
  t.equal({ pick(list).name, pick(list, "a.dump").name, pick(list, "db/a.dump").name }, { "db/b.dump", "db/a.dump", "db/a.dump" })
  t.contains(t.raises(pick, list, "c.dump").message, "none of the last 2 backups is called 'c.dump'")
end)
