--- stdlib/assessment and stdlib/releases over pretend primitives: what findings come to, what counts as a change.
local t = require "harness"

local clock = 1795246200      -- 2026-11-21T07:30:00Z

--- A time or duration, as far as these modules look into them.
local function moment(epoch)
  local value = { epoch = epoch, seconds = epoch }
  return setmetatable(value, {
    __sub = function(a, b)
      return moment((type(a) == "table" and a.epoch or a) - (type(b) == "table" and b.epoch or b))
    end,
  })
end

local function load_module(name, more)
  local env = {
    require = function(module) return module == "health" and load_module("health", more) or {} end,
    ipairs = ipairs, pairs = pairs, math = math, table = table, tostring = tostring, tonumber = tonumber, type = type,
    now = function() return moment(clock) end,
    note = function() end,
    thresholds = { of = function() return { unit = "%" } end },
    try = function(fn)
      local ok, value = pcall(fn)
      if ok then return value end
      return nil, value
    end,
  }
  for key, value in pairs(more or {}) do env[key] = value end
  return assert(loadfile("stdlib/" .. name .. ".lua", "t", env))()
end

local function finding(what, verdict) return { what = what, says = "so", verdict = verdict } end

t.test("the worst finding is the severity, and what causes the others is to be mended first", function()
  local assessment = load_module "assessment"
  local sum = assessment.sum({
    { finding("application", "critical"), finding("redis", "ok") },
    { finding("processors used", "warning"), finding("database", "critical"), finding("disk /var", "critical") },
  }, false)
  t.equal(sum.severity, "P0")
  t.equal(table.concat(sum.plays, " "),
    "incident/disk-space.lua incident/database-down.lua incident/service-outage.lua incident/high-cpu.lua")
  t.equal(sum.rows[1].what, "database")
  t.equal(sum.rows[#sum.rows].severity, "P2")
end)

t.test("what could not be seen is listed, and neither severe nor played for", function()
  local assessment = load_module "assessment"
  local sum = assessment.sum({ { finding("error rate", "unknown") } }, true)
  t.equal(sum.severity, "P3")
  t.equal(#sum.plays, 0)
  t.equal(#sum.rows, 1)
end)

t.test("with a deployment just before, what the application does wrong speaks for a rollback, a full disk does not", function()
  local assessment = load_module "assessment"
  local sum = assessment.sum({ { finding("error rate", "critical"), finding("disk /", "critical") } }, true)
  t.equal(table.concat(sum.plays, " "), "incident/disk-space.lua deploy/rollback.lua")
end)

t.test("a finding nobody knows a playbook for is severe all the same", function()
  local sum = load_module "assessment".sum({ { finding("jobs that failed", "critical") } }, false)
  t.equal(sum.severity, "P2")
  t.equal(#sum.plays, 0)
end)

t.test("one part seen by two looks is one finding", function()
  local sum = load_module "assessment".sum({ { finding("database", "critical") }, { finding("database", "critical") } }, false)
  t.equal(#sum.rows, 1)
end)

t.test("the page says that nothing is wrong when nothing is", function()
  local assessment = load_module "assessment"
  t.equal(assessment.page(assessment.sum({ {} }, false)),
    "suggested severity P3: next business day\nnothing that was looked at is out of order")
end)

t.test("a part that does not answer is critical with its reason; a figure that cannot be read is unknown with its", function()
  local verdicts = {}
  local assessment = load_module("assessment", { check = function(name, value, limits)
    verdicts[name] = value == nil and "unknown" or limits.expect and value ~= limits.expect and "critical" or "ok"
    return verdicts[name]
  end })
  local found = {}
  assessment.answers(found, "redis", function() error("refused", 0) end)
  assessment.reads(found, "figures", function() error("404", 0) end)
  assessment.answers(found, "database", function() return 1 end)
  t.equal(found[1].verdict .. ": " .. found[1].says, "critical: refused")
  t.equal(found[2].verdict .. ": " .. found[2].says, "unknown: 404")
  t.equal(found[3].verdict, "ok")
end)

local function deployed(json)
  local releases = load_module("releases", { http = function()
    return { get = function()
      return { json = json, at = function(_, path) return json[path] end }
    end }
  end })
  return releases.deployed("api", "/", 2)
end

t.test("Vercel's deployments and Netlify's are one list, newest first, so many of them", function()
  local rows = deployed { deployments = {
    { created = (clock - 600) * 1000, state = "READY", meta = { githubCommitSha = "0123456789", githubCommitMessage = "one" } },
    { created = (clock - 60) * 1000, readyState = "ERROR", name = "shop" }, { created = (clock - 6000) * 1000, state = "READY" },
  } }
  t.equal(#rows, 2)
  t.equal(("%d %s %s %s"):format(rows[1].age.seconds, rows[1].state, rows[1].commit, rows[1].what), "60 error - shop")
  t.equal(rows[2].commit .. " " .. rows[2].what, "01234567 one")
  rows = deployed { { created_at = "2026-11-21T07:00:00.000Z", state = "ready", commit_ref = "fedcba987654", title = "two" } }
  t.equal(("%d %s %s"):format(rows[1].age.seconds, rows[1].commit, rows[1].what), "1800 fedcba98 two")
end)

t.test("of a commit the files are named that configure or say what is depended on", function()
  local text = "\30a1\0312026-11-21T07:00:00Z\31ana\31upgrade\n\npackage.json\nsrc/app.js\ndeploy/nginx.conf\nconfig/db.yml\n\n"
    .. "\30b2\0312026-11-20T07:00:00Z\31bo\31words\n\nREADME.md\n"
  local releases = load_module("releases", { shell = { read = function() return { stdout = text } end } })
  local rows = releases.commits("/srv/shop", 5)
  t.equal(#rows, 2)
  t.equal(rows[1].dependencies .. "; " .. rows[1].configuration, "package.json; deploy/nginx.conf config/db.yml")
  t.equal(rows[2].dependencies .. rows[2].configuration, "")
end)
