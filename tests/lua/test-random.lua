--- Random numbers: the same from the same seed and place, others elsewhere.
local t = require "harness"
local context = require "runtime.context"
local random = require "runtime.random"

--- 64 hex digits that depend on all of a text; no SHA-256, but enough to tell places apart.
local function toy_hash(text)
  local words = {}
  for word = 1, 8 do
    local h = 2166136261 + word
    for i = 1, #text do
      h = ((h ~ text:byte(i)) * 16777619) & 0xffffffff
    end
    words[word] = ("%08x"):format(h)
  end
  return table.concat(words)
end

local locals = {}
context.open { locals = function() return locals end }
local source = random.source { digest = { sha256 = toy_hash } }

--- Enters a place of a run; nil: outside any step.
local function enter(place)
  locals.context = place and {
    run = { seed = place.seed or "s" }, path = "room/x", step = { id = place.step or "a" },
    attempt = place.attempt or 1, branch = place.branch or "",
  } or nil
end

local function draw(place, n)
  enter(place)
  return source.bytes(n or 8)
end

t.test("the same run and place give the same numbers, whatever was drawn elsewhere before", function()
  local first = draw { step = "b" }
  draw({ step = "a" }, 100)
  t.equal(draw { step = "b" }, first)
end)

t.test("another run, step, attempt or branch has numbers of its own", function()
  local seen = { [draw {}] = true }
  for _, place in ipairs { { seed = "other" }, { step = "b" }, { attempt = 2 }, { branch = "1" }, { branch = "1.1" } } do
    local bytes = draw(place)
    t.equal(seen[bytes], nil)
    seen[bytes] = true
  end
end)

t.test("a sequence goes on over its blocks and does not repeat", function()
  enter {}
  local pieces, seen = {}, {}
  for i = 1, 100 do
    pieces[i] = source.bytes(7)
    t.equal(seen[pieces[i]], nil)
    seen[pieces[i]] = true
  end
  t.equal(draw({}, 700), table.concat(pieces))
end)

t.test("branches count for themselves, though they stand in their step's context", function()
  enter {}
  local step = locals.context
  local before = source.bytes(8)
  locals.context = context.branch(step, 1)
  local branch = source.bytes(8)
  t.ok(branch ~= before)
  locals.context = step
  local after = source.bytes(8)
  t.equal(before .. after, draw({}, 16))
end)

t.test("a seed of the author's begins anew, and the run's seed stays part of it", function()
  local function seeded(place, seed)
    enter(place)
    source.seed(seed)
    return source.bytes(8)
  end
  t.equal(seeded({}, "42"), seeded({}, "42"))
  t.ok(seeded({}, "42") ~= seeded({}, "43"))
  t.ok(seeded({}, "42") ~= seeded({ seed = "other" }, "42"))
end)

t.test("while a playbook loads there are no random numbers: they could not be told again", function()
  enter(nil)
  t.contains(t.raises(source.bytes, 8).message, "'math.random' was called while the playbook loads: only inside a step")
end)
