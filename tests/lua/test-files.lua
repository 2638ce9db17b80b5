--- The files primitive over a pretend host: paths, options, what is shown, what is left.
local t = require "harness"
local context = require "runtime.context"
local errors = require "runtime.errors"
local report = require "runtime.report"
local request = require "runtime.files.request"
local new_adapter = require "runtime.primitives.files"

local said, asked, answer = {}, nil, nil
context.open { locals = function() return {} end }
report.open(function(event) said[#said + 1] = event.text end)

local function adapter(params)
  said, asked = {}, nil
  return new_adapter {
    host = {
      clock = { wall = function() return 1000 end },
      secret = { is = function() return false end },
      digest = { sha256 = function(text) return "digest of " .. text end },
      json = { array = function(list) return list end },
      fileops = {
        run = function(fields)
          asked = fields
          if answer.failed then
            return nil, answer.failed
          end
          return answer
        end,
      },
    },
    run = { header = { uses = { files = { "/data", "{dir}" } } }, params = params or {} },
  }
end

local function describe(verb, ...)
  local args = { ... }
  local opts = {}
  if type(args[#args]) == "table" and not args[#args].path and not args[#args][1] and #args > 1 then
    opts = table.remove(args)
  end
  args.opts = opts
  local files = adapter()
  return files.describe(verb, args), files
end

local function left_only(path, reason)
  return { items = {}, left = { { path = path, reason = reason } }, count = 0, size = 0, freed = 0, unseen = 0 }
end

t.test("a path is absolute and leads nowhere else", function()
  t.equal(request.path("read", "/a//b/./c/"), "/a/b/c")
  t.equal(request.path("read", "/"), "/")
  t.contains(tostring(t.raises(request.path, "read", "a/b")), "files.read: 'a/b' is no absolute path")
  t.contains(tostring(t.raises(request.path, "read", "/a/../b")), "a path with '..' may lead anywhere")
  t.contains(tostring(t.raises(request.path, "read", "/a\0b")), "expected a path")
end)

t.test("ages, sizes and modes are read as people write them", function()
  local fields = request.options("list", { older_than = "2d", larger_than = "1mb", open = false, limit = 5 })
  t.equal(fields.older_than, 172800)
  t.equal(fields.larger_than, 1048576)
  t.equal(fields.open, false)
  t.equal(request.options("write", { mode = "0640" }).mode, 416)
  t.contains(tostring(t.raises(request.options, "list", { larger_than = "big" })), "larger_than: 'big' is no size")
  t.contains(tostring(t.raises(request.options, "list", { sort = "age" })), "none of name, size, oldest, newest")
  t.contains(tostring(t.raises(request.options, "list", { limit = 0 })), "limit: expected 1 to 100000, got 0")
  t.contains(tostring(t.raises(request.options, "write", { mode = "999" })), "mode")
end)

t.test("a look needs no entry in uses, a change needs one for each path", function()
  t.equal(describe("list", "/etc").uses, nil)
  t.equal(describe("remove", { "/data/a", "/data/b/" }).uses, { "files", { "/data/a", "/data/b" } })
end)

t.test("a change says what, how many, where and how much", function()
  t.equal(describe("remove", "/data/a").summary, "remove /data/a")
  t.equal(describe("remove", { { path = "/data/x/a", id = "1", size = 2048 }, { path = "/data/y", id = "2", size = 1024 } }).summary,
    "remove 2 files below /data (3.0kb)")
  t.equal(describe("remove", { "/ab/c", "/a/c" }).summary, "remove 2 files below /")
  t.equal(describe("compress", {}).summary, "compress no files")
end)

t.test("an entry of a list goes with what it was; a path stands for whatever is there", function()
  local effect = describe("remove", { { path = "/data/a", id = "7" }, "/data/b" })
  t.equal(effect.request.fields.items, { { path = "/data/a", id = "7" }, { path = "/data/b" } })
  t.contains(tostring(t.raises(describe, "remove", { 5 })), "expected a path or an entry of files.list, got number")
end)

t.test("a written text is journaled by its digest", function()
  local effect = describe("write", "/data/a", "hello")
  t.equal(effect.body.text, { sha256 = "digest of hello", bytes = 5 })
  t.contains(tostring(t.raises(describe, "write", "/data/a", 5)), "'text': expected a string, got number")
end)

t.test("what may be changed goes along: items of uses, and parameters of type path", function()
  local files = adapter { dir = "/srv" }
  answer = { items = {}, left = {}, count = 0, size = 0, freed = 0, unseen = 0 }
  files.perform("remove", files.describe("remove", { {}, opts = {} }).request)
  t.equal(asked.allowed[1], "/data")
  t.equal(asked.allowed[2], "/srv")
end)

t.test("what was left is named; one path that was left is a failure", function()
  answer = left_only("/data/a", "it changed since it was listed")
  local effect, files = describe("remove", { { path = "/data/a", id = "7" } })
  local result = files.perform("remove", effect.request)
  t.equal(result.count, 0)
  t.equal(said, { "left: '/data/a': it changed since it was listed" })
  effect, files = describe("remove", "/data/a")
  local err = t.raises(files.perform, "remove", effect.request)
  t.equal(errors.is(err, "effect"), true)
  t.equal(err.message, "cannot remove '/data/a': it changed since it was listed")
  t.equal(err.outcome, "failed")
end)

t.test("a list of which nothing could be done for want of rights fails", function()
  answer = left_only("/data/a", "cannot remove it: Permission denied")
  local effect, files = describe("remove", { "/data/a", "/data/b" })
  t.equal(t.raises(files.perform, "remove", effect.request).message, "cannot remove '/data/a': Permission denied")
end)

t.test("a list has count, size and ages, and comes back from the journal as it was", function()
  answer = {
    entries = { { path = "/data/a", size = 3, mtime = 940 }, { path = "/data/b", size = 4, mtime = 1000.5 } },
    limited = false, unread = { { path = "/data/c", reason = "Permission denied" } }, unread_count = 1, unseen = 2,
  }
  local effect, files = describe("list", "/data")
  local list = files.perform("list", effect.request)
  t.equal(list.count, 2)
  t.equal(list.size, 7)
  t.equal(tostring(list[1].age), "1m")
  t.equal(tostring(list[2].age), "0s")
  t.equal(said, {
    "not read: '/data/c': Permission denied",
    "what 2 of the processes hold open is not known: they could not be looked into",
  })
  local again = files.revive("list", files.keep("list", list))
  t.equal(again.count, 2)
  t.equal(again[2].path, "/data/b")
  t.equal(again.unread[1].path, "/data/c")
end)

t.test("nothing there is nil, not an empty table", function()
  answer = {}
  local effect, files = describe("stat", "/data/none")
  t.equal(files.perform("stat", effect.request), nil)
end)

t.test("a dry run shows each file, its size and what would be left", function()
  answer = left_only("/data/b", "it is not there")
  answer.items, answer.count, answer.size = { { path = "/data/a", size = 2048 } }, 1, 2048
  local effect, files = describe("remove", { "/data/a", "/data/b" })
  local preview = files.preview("remove", effect.request)
  t.equal(preview.lines, { "/data/a (2.0kb)", "left: '/data/b': it is not there", "1 file, 2.0kb" })
  t.equal(asked.dry, true)
  t.equal(effect.request.fields.dry, nil)
end)

t.test("a read that fails names its path and what to try", function()
  answer = { failed = { message = "cannot list '/data': No such file or directory", code = "missing", outcome = "failed" } }
  local effect, files = describe("list", "/data")
  local err = t.raises(files.perform, "list", effect.request)
  t.contains(err.message, "/data")
  t.contains(err.hint, "is the path right")
end)
