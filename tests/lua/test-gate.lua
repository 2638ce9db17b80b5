--- The gate's nine stages: their order, and what each of them ends.
-- The words of a playbook come with _ENV.
-- luacheck: ignore 113 212
local t = require "harness"
local fake = require "tests.lua.fake_host"
local errors = require "runtime.errors"

--- One step named "Do it" with this body.
local function one_step(fn, more)
  local spec = more or {}
  spec.playbook = function(_ENV)
    step("Do it", function(p)
      return fn(_ENV, p)
    end)
  end
  return fake.play(spec)
end

local function change(_ENV)
  return sql "db":exec "delete"
end

local function read(_ENV)
  return sql "db":query "select"
end

for _, mode in ipairs { "live", "dry" } do
  t.test(mode .. ": a read is described, prepared, performed, then recorded", function()
    local run = one_step(read, { dry = mode == "dry" })
    t.equal(run.code, 0)
    t.equal(
      fake.order(run, "describe", "prepare", "perform", "effect."),
      "describe select, prepare select, perform select, journal effect.end"
    )
    t.equal(fake.step_end(run, "do-it").state, "done")
  end)
end

t.test("live: a change's begin is written and synced before it is made, its end is synced too", function()
  local run = one_step(change)
  t.equal(run.code, 0)
  t.equal(
    fake.order(run, "describe", "prepare", "perform", "effect."),
    "describe delete, prepare delete, journal effect.begin synced, perform delete, journal effect.end synced"
  )
end)

t.test("the begin record holds key, digest and the token by which the outcome can be found", function()
  local begin = fake.records(one_step(change), "effect.begin")[1]
  t.equal(begin.token.token, 7)
  t.equal(begin.path, "room/test")
  t.equal(begin.step, "do-it")
  t.equal(begin.attempt, 1)
  t.equal(begin.branch, "")
  t.equal(begin.ordinal, 1)
  t.equal(begin.kind, "sql.exec")
  t.equal(begin.class, "change")
  t.equal(begin.digest:sub(1, 10), "sha256 of ")
end)

t.test("dry: a change is described and shown, nothing of it is prepared or made", function()
  local run = one_step(change, { dry = true })
  t.equal(run.code, 0)
  t.equal(fake.order(run, "describe", "prepare", "perform", "effect."), "describe delete, journal effect.planned")
  t.equal(#fake.events(run, "planned"), 1)
  t.equal(fake.step_end(run, "do-it").state, "planned")
end)

t.test("dry: a tell is shown, not sent", function()
  local run = one_step(function(_ENV)
    notify "team" "hello"
  end, { dry = true, header = { uses = { notify = { "team" } } } })
  t.equal(fake.performed(run, "hello"), 0)
  t.equal(fake.step_end(run, "do-it").state, "planned")
end)

t.test("a begin that cannot be written means the change is not made: exit 4", function()
  local run = one_step(change, {
    fail_append = function(record)
      return record.type == "effect.begin" and { code = "full", message = "no space left" }
    end,
  })
  t.equal(fake.performed(run, "delete"), 0)
  t.equal(run.code, 4)
  t.equal(fake.order(run, "prepare", "abandon"), "prepare delete, abandon delete")
  t.equal(run.text:find("cannot write the journal: no space left", 1, true) ~= nil, true)
end)

t.test("an end that cannot be written after a change was made: exit 7", function()
  local run = one_step(change, {
    fail_append = function(record)
      return record.type == "effect.end" and { code = "full", message = "no space left" }
    end,
  })
  t.equal(fake.performed(run, "delete"), 1)
  t.equal(run.code, 7)
end)

t.test("a journal that cannot be opened ends the run before anything happened", function()
  local run = one_step(change, {
    fail_append = function()
      return { code = "full", message = "no space left" }
    end,
  })
  t.equal(run.error.kind, "journal")
  t.equal(#fake.order(run, "prepare", "perform"), 0)
end)

t.test("a failure while preparing is recorded as not sent, and nothing was begun", function()
  local run = one_step(change, {
    prepares = {
      delete = function()
        error(errors.effect { message = "cannot connect to 'db'" }, 0)
      end,
    },
  })
  t.equal(run.code, 1)
  t.equal(fake.performed(run, "delete"), 0)
  t.equal(#fake.records(run, "effect.begin"), 0)
  t.equal(fake.records(run, "effect.end")[1].outcome, "not sent")
end)

t.test("a read that cannot be proved is refused: 5, nothing sent, in both modes", function()
  for _, dry in ipairs { false, true } do
    local run = one_step(read, {
      dry = dry,
      prepares = {
        select = function()
          error(errors.refused { message = "function 'f' may change something" }, 0)
        end,
      },
    })
    t.equal(run.code, 5)
    t.equal(fake.performed(run, "select"), 0)
    t.equal(fake.step_end(run, "do-it").state, "refused")
  end
end)

local function unknown_outcome()
  error(errors.effect { message = "the connection was lost", outcome = "unknown" }, 0)
end

t.test("a change with an unknown outcome ends the run with 7, whatever try says", function()
  local went_on = false
  local run = one_step(function(_ENV)
    local value = try(function()
      return change(_ENV)
    end)
    went_on = true
    return value
  end, { does = { delete = unknown_outcome } })
  t.equal(run.code, 7)
  t.equal(went_on, false)
  t.equal(fake.records(run, "effect.end")[1].outcome, "unknown")
  t.equal(fake.records(run, "run.end")[1].state, "in doubt")
end)

t.test("attempt does not catch an unknown outcome, and it is never tried again", function()
  local run = fake.play {
    does = { delete = unknown_outcome },
    playbook = function(_ENV)
      step("Do it", { retry = { times = 3 }, idempotent = true }, function()
        attempt(function()
          return change(_ENV)
        end)
      end)
    end,
  }
  t.equal(run.code, 7)
  t.equal(fake.performed(run, "delete"), 1)
end)

t.test("an unknown outcome among other failures of a group is still 7", function()
  local run = fake.play {
    does = { delete = unknown_outcome },
    playbook = function(_ENV)
      group("Both", { keep_going = true }, function()
        step("Fails", function() fail "no" end)
        step("Loses sight", function() change(_ENV) end)
      end)
    end,
  }
  t.equal(run.code, 7)
end)

t.test("a bug of ours in the middle of a change is an unknown outcome too", function()
  local run = one_step(change, {
    does = {
      delete = function()
        error "attempt to index a nil value"
      end,
    },
  })
  t.equal(fake.records(run, "effect.end")[1].outcome, "unknown")
  t.equal(run.code, 7)
end)

t.test("a read whose answer got lost is a failed read, not an unknown outcome", function()
  local run = one_step(read, {
    does = {
      select = function()
        error(errors.from_host({ message = "lost", code = "x", outcome = "unknown" }, "read"), 0)
      end,
    },
  })
  t.equal(run.code, 1)
  t.equal(fake.records(run, "effect.end")[1].outcome, "failed")
end)

t.test("a change where only reads are allowed is refused before it is prepared", function()
  for _, dry in ipairs { false, true } do
    local run = one_step(function(_ENV)
      wait_until("gone", { every = "1s", within = "2s" }, function() return change(_ENV) end)
    end, { dry = dry })
    t.equal(fake.order(run, "prepare", "perform", "planned"), "")
  end
end)

t.test("an effect while the playbook loads is refused: only inside a step", function()
  local run = fake.play {
    playbook = function(_ENV)
      change(_ENV)
    end,
  }
  t.equal(run.error.kind, "load")
  t.equal(run.error.message:find("only inside a step", 1, true) ~= nil, true)
  t.equal(run.trace[1], nil)
end)

t.test("a value that holds a secret is recorded as done, value not kept", function()
  local run = one_step(read, { secrets = { "hunter22" }, does = { select = { { password = "hunter22" } } } })
  local record = fake.records(run, "effect.end")[1]
  t.equal(record.outcome, "done")
  t.equal(record.value, nil)
  t.equal(record.not_kept, "holds a secret")
end)

t.test("each call of a step has its own ordinal, each branch its own name", function()
  local run = one_step(function(_ENV)
    read(_ENV)
    parallel { { "a", function() read(_ENV) end }, { "b", function() read(_ENV) end } }
    read(_ENV)
  end)
  local keys = {}
  for _, record in ipairs(fake.records(run, "effect.end")) do
    keys[#keys + 1] = record.branch .. "#" .. record.ordinal
  end
  table.sort(keys)
  t.equal(table.concat(keys, " "), "#1 #2 1#1 2#1")
end)

t.test("the author's words for a change stand in report and journal, beside what is really sent", function()
  local run = one_step(function(_ENV)
    sql "db":exec("delete", nil, { summary = "end 3 sessions" })
  end)
  local begin = fake.records(run, "effect.begin")[1]
  t.equal(begin.summary, "end 3 sessions")
  t.equal(begin.detail, "exec delete")
  t.equal(begin.body.text, "delete")
end)

t.test("the failure names the author's line and the effect", function()
  local run = one_step(change, {
    does = {
      delete = function()
        error(errors.effect { message = "denied", outcome = "failed" }, 0)
      end,
    },
  })
  local failure = fake.events(run, "run.end")[1].failure
  t.equal(failure.where, "test.lua:1")
  t.equal(failure.effect, "exec delete")
end)
