--- What a journal says of a run that is gone on with: cuts, scopes, ways back, states. Pure.
local t = require "harness"
local recording = require "runtime.recording"

--- Records of a run, numbered in order; fields of an effect's key may be left out.
local function read(list)
  local records = { { type = "run.start", mode = "live" } }
  for _, record in ipairs(list) do
    records[#records + 1] = record
  end
  for n, record in ipairs(records) do
    record.n, record.t = n, "2026-11-21T03:12:07.123Z"
    record.path, record.step = record.path or "book", record.step or "a"
    record.attempt, record.branch = record.attempt or 1, record.branch or ""
  end
  return recording.read(records)
end

local function start(more)
  local record = more or {}
  record.type = "step.start"
  return record
end

local function ended(state, more)
  local record = more or {}
  record.type, record.state = "step.end", state
  return record
end

local function begin(ordinal, more)
  local record = more or {}
  record.type, record.class, record.ordinal, record.summary = "effect.begin", "change", ordinal, "change " .. ordinal
  return record
end

local function finish(ordinal, outcome, more)
  local record = more or {}
  record.type, record.class, record.ordinal, record.outcome = "effect.end", "change", ordinal, outcome
  return record
end

local function looked(ordinal, more)
  local record = more or {}
  record.type, record.class, record.ordinal, record.outcome = "effect.end", "read", ordinal, record.outcome or "done"
  return record
end

local function keys(scope)
  local list = {}
  for i, effect in ipairs(scope.order) do
    list[i] = (effect.begin or effect.finish).ordinal
  end
  return list
end

t.test("a step that changed nothing has no cut: it runs again whole", function()
  local rec = read { start(), looked(1), looked(2) }
  t.equal(rec:cut(rec:step("book", "a")), nil)
end)

t.test("the cut is the last change that happened, or may have", function()
  local rec = read { start(), looked(1), begin(2), finish(2, "done"), looked(3), begin(4), looked(5) }
  t.equal(rec:cut(rec:step("book", "a")), 7)
end)

t.test("a change that was not sent, or failed uncaught, is no cut", function()
  for _, outcome in ipairs { "not sent", "failed" } do
    local rec = read { start(), begin(1), finish(1, outcome) }
    t.equal(rec:cut(rec:step("book", "a")), nil)
  end
end)

t.test("a failed change that the playbook caught is one: it decided what came next", function()
  local rec = read { start(), begin(1), finish(1, "failed"), { type = "caught", ordinal = 1, message = "no" }, looked(2) }
  t.equal(rec:cut(rec:step("book", "a")), 3)
end)

t.test("changes of child steps and of called playbooks count for the step around them", function()
  local parent = { path = "book", step = "a" }
  local rec = read {
    start(), looked(1),
    start { path = "book/a>other", step = "x", parent = parent },
    begin(1, { path = "book/a>other", step = "x" }), finish(1, "done", { path = "book/a>other", step = "x" }),
  }
  t.equal(rec:cut(rec:step("book", "a")), 5)
end)

t.test("a change of an earlier attempt is no cut of this one", function()
  local rec = read { start(), begin(1), finish(1, "done"), ended "failed", start { attempt = 2 }, looked(1, { attempt = 2 }) }
  t.equal(rec:cut(rec:step("book", "a")), nil)
end)

t.test("what is taken from the journal ends at the cut, in the order in which it was over", function()
  local rec = read {
    start(), looked(1, { branch = "2" }), begin(1, { branch = "1" }), looked(2, { branch = "2" }),
    finish(1, "done", { branch = "1" }), looked(3, { branch = "2" }),
  }
  local entry = rec:step("book", "a")
  t.equal(keys(rec:scope(entry, rec:cut(entry))), { 1, 1 })
end)

t.test("a read that failed and was not caught is read again", function()
  local rec = read { start(), looked(1, { outcome = "failed" }), begin(2), finish(2, "done") }
  t.equal(keys(rec:scope(rec:step("book", "a"), 5)), { 2 })
end)

t.test("ways back that were taken, or settled, are not open", function()
  local rec = read {
    start(),
    { type = "undo.push", kind = "undo", number = 1, text = "one", slot = 1 },
    { type = "settled" },
    { type = "undo.push", kind = "undo", number = 2, text = "two", slot = 2 },
    { type = "undo.push", kind = "always", number = 3, text = "three", slot = 3 },
    { type = "undo.done", number = 3, ok = true },
  }
  local open = recording.open_ways(rec:step("book", "a"))
  t.equal(#open, 1)
  t.equal(open[1].text, "two")
end)

t.test("a way back that failed is still open", function()
  local rec = read {
    start(), { type = "undo.push", kind = "undo", number = 1, text = "one", slot = 1 },
    { type = "undo.done", number = 1, ok = false },
  }
  t.equal(#rec:pending(), 1)
end)

t.test("states: interrupted, in doubt, what the end says, closed", function()
  t.equal(read({ start() }):state(), "interrupted")
  t.equal(read({ start(), begin(1) }):state(), "in doubt")
  t.equal(read({ start(), begin(1), finish(1, "done"), { type = "run.end", state = "failed" } }):state(), "failed")
  t.equal(read({ { type = "run.end", state = "failed" }, { type = "run.resume" } }):state(), "interrupted")
  t.equal(read({ { type = "run.end", state = "failed" }, { type = "run.closed" } }):state(), "closed")
end)

t.test("a change in doubt that was found out is in doubt no more", function()
  local rec = read { start(), begin(1), finish(1, "unknown") }
  t.equal(#rec:doubts(), 1)
  rec = read { start(), begin(1), finish(1, "unknown"), { type = "run.resume" }, finish(1, "done") }
  t.equal(#rec:doubts(), 0)
end)

t.test("a step suspended until a time keeps what it had read: the time stands", function()
  local rec = read { start(), looked(1), { type = "time.wait", ordinal = 2, epoch = 5 }, ended "suspended" }
  t.equal(rec:cut(rec:step("book", "a")), 4)
end)
