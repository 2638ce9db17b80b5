--- secret.new: what it takes, and that a run that goes on gets the same secret again.
local t = require "harness"
local sinks = require "runtime.sinks"
local new_adapter = require "runtime.primitives.secret"

local function home(opts)
  opts = opts or {}
  local blobs, made = {}, 0
  local host = {
    secret = {
      generate = function(name)
        made = made + 1
        return setmetatable({ value = ("%s #%d"):format(name, made) }, { __tostring = function() return "‹secret:" .. name .. "›" end })
      end,
      seal = function(secret, context)
        if opts.full then
          return nil, { message = "no space left on device", code = "space" }
        end
        return context .. "|" .. secret.value
      end,
      unseal = function(bytes, context, name)
        local sealed_in, value = bytes:match "^(.-)|(.*)$"
        if sealed_in ~= context then
          return nil, { message = "what was sealed was changed", code = "damaged" }
        end
        return { value = value, name = name }
      end,
    },
  }
  local store = {
    blob = function(_, bytes) blobs[#blobs + 1] = bytes return "digest" .. #blobs end,
    fetch = function(_, digest) return blobs[tonumber(digest:match "%d+")] end,
    dir = function() return "/runs/x" end,
  }
  return function(id)
    return new_adapter { host = host, run = { id = id, store = store } }
  end, blobs
end

local function new(adapter, what)
  return adapter.perform("new", adapter.describe("new", { what }).request)
end

t.test("it is sealed before anybody gets it, and the journal keeps where, never what", function()
  local open, blobs = home()
  local adapter = open "run"
  local secret = new(adapter, { name = "KEY" })
  t.equal(blobs, { "run|KEY #1" })
  t.equal(adapter.keep("new", secret), { name = "KEY", sealed = "digest1" })
end)

t.test("a run that goes on gets the same one again, for the same sinks", function()
  local open = home()
  local first = open "run"
  local kept = first.keep("new", new(first, { name = "KEY", to = { "stdin" } }))
  local second = open "run"
  local again = second.revive("new", kept)
  t.equal(again.value, "KEY #1")
  t.equal(second.keep("new", again), kept)
  t.equal(pcall(sinks.check, again, "stdin", "shell.run"), true)
  t.equal(t.raises(sinks.check, again, "env", "shell.run").kind, "refused")
end)

t.test("another run does not open it, and that stops before anything is done", function()
  local open = home()
  local first = open "run"
  local kept = first.keep("new", new(first, { name = "KEY" }))
  local err = t.raises(open("other").revive, "new", kept)
  t.equal({ err.kind, err.code }, { "precondition", "damaged" })
end)

t.test("what cannot be sealed is an error and no secret", function()
  local open = home { full = true }
  local err = t.raises(new, open "run", {})
  t.equal({ err.kind, err.code, err.outcome }, { "effect", "space", "failed" })
  t.equal(err.message, "the new secret 'generated' cannot be sealed: no space left on device")
end)

t.test("the same call has the same digest, another one another", function()
  local open = home()
  local adapter = open "run"
  t.equal(adapter.describe("new", { {} }).body, { name = "generated", bytes = 32, form = "hex" })
  t.equal(adapter.describe("new", { { to = "env", bytes = 16, form = "base64url" } }).body,
    { name = "generated", bytes = 16, form = "base64url", to = { "env" } })
end)
