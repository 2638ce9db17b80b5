--- The rules of an environment: read strictly, judged before anything is sent, live and dry alike.
-- The words of a playbook come with _ENV.
-- luacheck: ignore 113 212
local t = require "harness"
local fake = require "tests.lua.fake_host"
local rules = require "runtime.rules"
local zone_clock = require "zone_clock"

local saturday, monday = 1795230727, 1795230727 + 2 * 86400 + 7 * 3600 -- Sat 04:12, Mon 11:12 in Madrid

local function host(spec)
  spec = spec or {}
  return {
    clock = zone_clock.new(spec.now or monday),
    system = {
      user = function() return spec.user or "ana" end,
      groups = function() return spec.groups or {} end,
    },
  }
end

local function bound(raw, spec)
  return rules.bind(host(spec), rules.read(raw, "environment 'x.lua'"), "x", "Europe/Madrid", "environment 'x.lua'")
end

local function change(kind, target, uses)
  return { kind = kind, class = kind == "notify.send" and "tell" or "change", target = target, summary = kind, uses = uses }
end

local live = { offset = 0, back = false }

--- The rules that refuse an effect, joined; "" when none does.
local function refused(raw, effect, spec, situation)
  local list = {}
  for i, refusal in ipairs((bound(raw, spec).judge(effect, situation or live))) do
    list[i] = refusal.rule or refusal.message:match "read%-only" or "who"
  end
  return table.concat(list, " ")
end

local function problem(raw)
  local err = t.raises(rules.read, raw, "environment 'x.lua'")
  t.equal(err.kind, "precondition")
  return err.message, err.hint
end

t.test("no rules, no judge", function()
  t.equal(rules.bind(host(), rules.read(nil, "x"), "x", "UTC", "x"), nil)
end)

t.test("a misspelt rule does not load and names the nearest", function()
  local message, hint = problem { readonly = true }
  t.equal(message, "environment 'x.lua': rules: unknown rule 'readonly'")
  t.equal(hint, "did you mean 'read_only'?")
  message, hint = problem { changes = { witin = "Mon" } }
  t.equal(message, "environment 'x.lua': rules.changes: unknown rule 'witin'")
  t.equal(hint, "did you mean 'within'?")
  message, hint = problem { changes = { deny = { "sql.exce primary" } } }
  t.equal(message, "environment 'x.lua': rules.changes.deny: 'sql.exce' is no kind of change")
  t.equal(hint, "did you mean 'sql.exec'?")
end)

t.test("a rule of a wrong shape does not load: it would hold nothing back", function()
  for _, raw in ipairs {
    true, "read_only", { read_only = "yes" }, { read_only = 1 }, { changes = true }, { changes = { who = {} } },
    { changes = { who = { 5 } } }, { changes = { who = { ana = true } } }, { changes = { who = "ana dba" } },
    { changes = { who = { "" } } }, { changes = { who = { "@" } } }, { changes = { within = {} } },
    { changes = { within = "Mon..Fri 9-17" } }, { changes = { within = "Fri..Mon" } }, { changes = { within = 5 } },
    { changes = { within = "09:00..09:00" } }, { changes = { deny = {} } }, { changes = { deny = { "" } } },
    { changes = { deny = { "sql.query" } } }, { changes = { ask = { "everything" } } }, { changes = { ask = { { "sql" } } } },
    { "read_only" },
  } do
    problem(raw)
  end
end)

t.test("a window needs a zone that is there", function()
  local known = rules.read({ changes = { within = "Mon" } }, "x")
  local err = t.raises(rules.bind, host(), known, "x", "Europe/Madird", "environment 'x.lua'")
  t.contains(err.message, "no time zone 'Europe/Madird'")
end)

t.test("read-only: every change is refused, nobody is kept from telling, and nothing sets it aside", function()
  t.equal(refused({ read_only = true }, change("sql.exec", "primary")), "read-only")
  t.equal(refused({ read_only = true }, change("sql.exec", "primary"), {}, { offset = 0, back = true }), "read-only")
  t.equal(refused({ read_only = true }, change("notify.send", "team")), "")
  t.equal(refused({ read_only = false }, change("sql.exec", "primary")), "")
end)

t.test("within: the hours of the environment's zone, the first second in, the last out", function()
  local raw = { changes = { within = "Mon..Fri 09:00..17:00" } }
  local effect = change("sql.exec", "primary")
  local nine = monday - 2 * 3600 - 12 * 60 - 7
  t.equal(refused(raw, effect, { now = monday }), "")
  t.equal(refused(raw, effect, { now = saturday }), "rules.within")
  t.equal(refused(raw, effect, { now = nine }), "")
  t.equal(refused(raw, effect, { now = nine - 1 }), "rules.within")
  t.equal(refused(raw, effect, { now = nine + 8 * 3600 - 1 }), "")
  t.equal(refused(raw, effect, { now = nine + 8 * 3600 }), "rules.within")
  t.equal(refused({ changes = { within = { "Mon 10:00..11:00", "Mon 11:00..12:00" } } }, effect), "")
end)

t.test("within: hours over midnight belong to the day they begin on", function()
  local raw = { changes = { within = "Fri 22:00..06:00" } }
  t.equal(refused(raw, change("sql.exec", "primary"), { now = saturday }), "")
  t.equal(refused({ changes = { within = "Sat 22:00..06:00" } }, change("sql.exec", "primary"), { now = saturday }), "rules.within")
end)

t.test("within: a dry run's clock counts, a way back is not held up, telling is not either", function()
  local raw = { changes = { within = "Mon..Fri 09:00..17:00" } }
  t.equal(refused(raw, change("sql.exec", "p"), { now = saturday }, { offset = monday - saturday, back = false }), "")
  t.equal(refused(raw, change("sql.exec", "p"), { now = saturday }, { offset = 0, back = true }), "")
  t.equal(refused(raw, change("notify.send", "team"), { now = saturday }), "")
end)

t.test("within: the refusal says what time it is there, and when it opens", function()
  local refusal = bound({ changes = { within = "Mon..Fri 09:00..17:00" } }, { now = saturday }).judge(change("sql.exec", "p"), live)[1]
  t.equal(refusal.message, "environment 'x' is changed within Mon..Fri 09:00..17:00 only, and there it is Sat 04:12 CET")
  t.contains(refusal.hint, "it may be changed again from Mon 2026-11-23 09:00 on; --override rules.within --because TEXT")
end)

t.test("who: a user by name, a group by @, through sudo who called it; never a part of a name", function()
  local raw, effect = { changes = { who = { "ana", "@dba" } } }, change("sql.exec", "primary")
  t.equal(refused(raw, effect, { user = "ana" }), "")
  t.equal(refused(raw, effect, { user = "ana (sudo)" }), "")
  t.equal(refused(raw, effect, { user = "bob", groups = { "users", "dba" } }), "")
  for _, user in ipairs { "bob", "an", "anaa", "Ana", "root", "@dba", "dba", "root (sudo)", "uid 1000", "" } do
    t.equal(refused(raw, effect, { user = user }), "who", user)
  end
  t.equal(refused(raw, effect, { user = "bob", groups = { "ana" } }), "who")
  t.equal(refused(raw, effect, { user = "bob" }, { offset = 0, back = true }), "who")
end)

local function denies(entry, effect)
  return refused({ changes = { deny = { entry } } }, effect) == "rules.deny"
end

t.test("deny: by module, by kind, by target", function()
  local exec = change("sql.exec", "primary")
  t.ok(denies("sql", exec))
  t.ok(denies("sql.exec", exec))
  t.ok(denies("sql primary", exec))
  t.ok(denies("  sql.exec   primary ", exec))
  t.ok(not denies("shell.run", exec))
  t.ok(not denies("sql replica", exec))
  t.ok(not denies("redis", exec))
  t.ok(denies("notify oncall", change("notify.send", "oncall")))
  t.ok(not denies("notify oncall", change("notify.send", "team")))
  t.ok(denies("service.restart app", change("service.restart", "app")))
end)

t.test("deny: a command by its first words, also by its path, and the host it runs on", function()
  local function run(...)
    return change("shell.run", ({ ... })[1], { "shell", { ... } })
  end
  t.ok(denies("shell.run docker rm", run("docker", "rm", "api")))
  t.ok(denies("shell docker rm", run("/usr/bin/docker", "rm", "api")))
  t.ok(denies("shell docker rm", run("../bin/docker", "rm")))
  t.ok(not denies("shell.run docker rm", run("docker", "rmi")))
  t.ok(not denies("shell.run docker rm", run("docker")))
  local there = run("true")
  there.target = "web1"
  t.ok(denies("shell web1", there))
end)

t.test("deny: a path holds what is below it, and what holds it is not removed either", function()
  local function remove(...)
    return change("files.remove", "x", { "files", { ... } })
  end
  t.ok(denies("files /srv/shop", remove "/srv/shop"))
  t.ok(denies("files /srv/shop", remove "/srv/shop/a/b"))
  t.ok(denies("files /srv/shop/", remove "/srv"))
  t.ok(denies("files /srv/shop", remove "/"))
  t.ok(denies("files.remove /srv/shop", remove("/tmp/a", "/srv/shop/b")))
  t.ok(not denies("files /srv/shop", remove "/srv/shop2"))
  t.ok(not denies("files.write /srv/shop", remove "/srv/shop"))
end)

t.test("only what may have been meant for once can be set aside: hours and denials", function()
  t.equal(rules.may_be_overridden, { within = true, deny = true })
end)

-- -- through the gate ------------------------------------------------------------------------------

local function play(raw, spec)
  spec = spec or {}
  spec.environment = { name = "x", protected = spec.protected, rules = bound(raw, spec.host) }
  spec.playbook = spec.playbook or function(_ENV)
    step("Do it", function()
      sql "db":exec "one"
      sql "db":exec "two"
    end)
    step("Again", function() sql "db":exec "three" end)
  end
  local run = fake.play(spec)
  return run, fake.performed(run, "one") + fake.performed(run, "two") + fake.performed(run, "three")
end

for _, dry in ipairs { false, true } do
  local mode = dry and "dry: " or "live: "
  t.test(mode .. "what a rule refuses ends the run with 5, nothing is made or planned", function()
    for _, raw in ipairs {
      { read_only = true }, { changes = { within = "Sun" } }, { changes = { who = { "bob" } } }, { changes = { deny = "sql" } },
    } do
      local run, made = play(raw, { dry = dry })
      t.equal(run.code .. " " .. made, "5 0")
      t.equal(fake.order(run, "prepare", "perform", "planned"), "")
      t.equal(#fake.records(run, "effect.refused"), 1)
    end
  end)

  t.test(mode .. "reads pass every rule", function()
    local run = play({ read_only = true, changes = { within = "Sun", who = "bob", deny = "sql", ask = "sql" } }, {
      dry = dry,
      playbook = function(_ENV) step("Read", function() sql "db":query "select" end) end,
    })
    t.equal(run.code, 0)
  end)

  t.test(mode .. "what may be set aside is, with who and why in the journal; the rest is not", function()
    local flags = { override = { "rules.within", "rules.deny" }, because = "ticket 4711" }
    local run, made = play({ changes = { within = "Sun", deny = "sql.exec db" } }, { dry = dry, flags = flags })
    t.equal(run.code .. " " .. made, dry and "0 0" or "0 3")
    local said = {}
    for _, record in ipairs(fake.records(run, "override")) do
      said[record.rule] = (said[record.rule] or 0) + 1
      t.equal(record.because .. " " .. record.by, "ticket 4711 ana")
    end
    t.equal(said, { ["rules.within"] = 1, ["rules.deny"] = 3 })
    run, made = play({ read_only = true }, { dry = dry, flags = flags })
    t.equal(run.code .. " " .. made, "5 0")
    run, made = play({ changes = { who = "bob" } }, { dry = dry, flags = flags })
    t.equal(run.code .. " " .. made, "5 0")
  end)
end

t.test("--override of a rule that only the file decides is a usage error", function()
  for _, rule in ipairs { "rules.who", "rules.read_only", "rules.ask", "rules.x", "protected", "rules", "reads", "rules.within x" } do
    local run = play({ read_only = true }, { flags = { override = { rule }, because = "x" } })
    t.equal(run.error and run.error.kind, "usage", rule)
  end
end)

t.test("ask: an extra gate a step, once for all that one rule means; the flag that opens it is named", function()
  local run, made = play { changes = { ask = "sql" } }
  t.equal(run.code .. " " .. made, "5 0")
  t.equal(fake.step_end(run, "do-it").error.message, "gate 'do-it.rule' is closed: no terminal to ask on")
  t.contains(fake.events(run, "run.end")[1].failure.hint, "--answer do-it.rule=yes opens this gate")
  run, made = play({ changes = { ask = "sql" } }, { flags = { answers = { "do-it.rule=yes" } } })
  t.equal(run.code .. " " .. made, "5 2")
  run, made = play({ changes = { ask = "sql" } }, { flags = { answers = { "do-it.rule=yes", "again.rule=yes" } } })
  t.equal(run.code .. " " .. made, "0 3")
  t.equal(#fake.records(run, "gate"), 2)
  run, made = play({ changes = { ask = "sql" } }, { terminal = true, answers = { "yes", "no" } })
  t.equal(run.code .. " " .. made .. " " .. #run.host.term.asked, "5 2 2")
end)

t.test("ask: --yes opens it, never in a protected environment", function()
  local run, made = play({ changes = { ask = "sql" } }, { flags = { yes = true } })
  t.equal(run.code .. " " .. made, "0 3")
  run, made = play({ changes = { ask = "sql" } }, { protected = true, flags = { yes = true, answers = { "environment=x" } } })
  t.equal(run.code .. " " .. made, "5 0")
end)

t.test("ask: a dry run shows the gate with its id and goes on", function()
  local run = play({ changes = { ask = "sql" } }, { dry = true })
  t.equal(run.code, 0)
  local gates = fake.events(run, "gate")
  t.equal(#gates, 2)
  t.equal(gates[1].id, "do-it.rule")
  t.equal(gates[1].would_ask, true)
  t.equal(#fake.records(run, "gate"), 0)
end)

t.test("a dry run shows that a protected environment's name will be asked for, once", function()
  local run = play({ read_only = false }, { dry = true, protected = true })
  t.equal(run.code, 0)
  local gates = fake.events(run, "gate")
  t.equal(#gates .. " " .. gates[1].id, "1 environment")
end)

t.test("ask: branches side by side ask once for one rule, and once for the environment's name", function()
  local run = fake.play {
    environment = { name = "x", protected = true, rules = bound { changes = { ask = "sql" } } },
    terminal = true,
    answers = { "x", "yes" },
    playbook = function(_ENV)
      step("Both", function()
        parallel {
          { "a", function() sql "db":exec "one" end },
          { "b", function() sql "db":exec "two" end },
        }
      end)
    end,
  }
  t.equal(run.code .. " " .. fake.performed(run, "one") + fake.performed(run, "two"), "0 2")
  t.equal(#run.host.term.asked, 2)
end)

t.test("a way back is neither held up by the hour nor asked about again", function()
  local clock_host = host { now = monday }
  local known = rules.read({ changes = { within = "Mon", ask = "sql" } }, "x")
  local run = fake.play {
    environment = { name = "x", rules = rules.bind(clock_host, known, "x", "Europe/Madrid", "x") },
    flags = { undo_on_failure = true, answers = { "do-it.rule=yes" } },
    playbook = function(_ENV)
      step("Do it", function()
        undo("take it back", function() sql "db":exec "back" end)
        sql "db":exec "make"
        clock_host.clock = zone_clock.new(saturday)
        fail "too late"
      end)
    end,
  }
  t.equal(run.code, 8)
  t.equal(fake.performed(run, "back"), 1)
end)
