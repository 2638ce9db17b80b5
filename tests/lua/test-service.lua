--- Services over a pretend host: which commands each kind sends, what their answers mean, when a change counts as
--- done, and what an environment may say.
local t = require "harness"
local context = require "runtime.context"
local errors = require "runtime.errors"
local service_settings = require "runtime.service_settings"
local kinds = {
  systemd = require "runtime.service.systemd",
  docker = require "runtime.service.docker",
  compose = require "runtime.service.compose",
  process = require "runtime.service.process",
}
local images = require "runtime.service.images"
local netlify = require "runtime.service.netlify"
local releases = require "runtime.service.releases"
local requests = require "runtime.service.request"
local vercel = require "runtime.service.vercel"
local new_adapter = require "runtime.primitives.service"

context.open { locals = function() return {} end }

local function words(step)
  return table.concat(step.argv, " ")
end

--- A look that answers from a list of {code, stdout, stderr} and writes down what was asked.
local function looker(answers)
  local asked = {}
  return function(argv)
    asked[#asked + 1] = type(argv) == "table" and table.concat(argv, " ") or argv
    local answer = table.remove(answers, 1)
    local lines = {}
    for line in (answer.stdout or ""):gmatch "[^\n]+" do
      lines[#lines + 1] = line
    end
    return {
      code = answer.code or 0, stdout = answer.stdout or "", stderr = answer.stderr or "",
      text = ((answer.stdout or ""):gsub("\n$", "")), lines = function() return lines end, rows = function() return answer.rows end,
    }
  end, asked
end

t.test("a unit of systemd: exact commands, states in our words, another identity after every start", function()
  local unit = { systemd = "app.service" }
  t.equal(words(kinds.systemd.change(unit, "restart")[1]), "systemctl --no-ask-password restart -- app.service")
  t.equal(kinds.systemd.change(unit, "scale", 2), nil)
  local function status(said)
    local look, asked = looker { { stdout = said } }
    return kinds.systemd.status(unit, look), asked
  end
  local facts, asked = status("LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\n"
    .. "MainPID=42\nInvocationID=ab\nNRestarts=3\n")
  t.equal(facts, { state = "active", detail = "running", pid = 42, identity = "ab", restarts = 3 })
  t.contains(asked[1], "systemctl show --no-pager --property=LoadState,")
  t.equal(status("LoadState=not-found\nActiveState=inactive\nMainPID=0\nInvocationID=\n").state, "missing")
  facts = status "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\nMainPID=0\nInvocationID=cd\n"
  t.equal({ facts.state, facts.detail, facts.pid }, { "failed", "exit-code", nil })
  t.equal(status("LoadState=loaded\nActiveState=activating\nSubState=auto-restart\n").state, "changing")
end)

t.test("a container: health counts, one that is not there is missing, a deaf engine is an error", function()
  local container = { docker = "app" }
  t.equal(words(kinds.docker.change(container, "stop")[1]), "docker stop -- app")
  local function status(answer)
    local look = looker { answer }
    return kinds.docker.status(container, look)
  end
  local function state(status_word, health)
    return status({ rows = { { Status = status_word, Pid = 7, StartedAt = "t", Health = health and { Status = health } } } }).state
  end
  t.equal({ state "running", state("running", "starting"), state("running", "unhealthy"), state "exited", state "restarting" },
    { "active", "changing", "failed", "inactive", "changing" })
  t.equal(status({ code = 1, stderr = "Error: No such container: app\n" }).state, "missing")
  t.contains(tostring(t.raises(status, { code = 1, stderr = "Cannot connect to the Docker daemon\n" })), "Cannot connect")
end)

t.test("a service of compose: all its containers, in its directory, scaled by number", function()
  local app = { compose = "app", dir = "/srv", file = "prod.yml", project = "p" }
  local steps = kinds.compose.change(app, "scale", 3)
  t.equal(words(steps[1]), "docker compose --project-name p --file prod.yml "
    .. "up --detach --no-deps --no-recreate --no-build --scale app=3 app")
  t.equal(steps[1].cwd, "/srv")
  local two = { { Status = "running", StartedAt = "1" }, { Status = "exited", StartedAt = "2" } }
  local look, asked = looker { { stdout = "a1\nb2\n" }, { rows = two } }
  local facts = kinds.compose.status(app, look)
  t.equal({ facts.state, facts.running }, { "failed", 1 })
  t.equal(asked[1], "docker compose --project-name p --file prod.yml ps --all --quiet app")
  t.contains(asked[2], "-- a1 b2")
  look = looker { { stdout = "" } }
  t.equal(kinds.compose.status(app, look).state, "inactive")
end)

t.test("commands of the environment: exit codes as init scripts have them, restart is stop and start", function()
  local app = { start = { "up" }, stop = "down", status = { "look" } }
  local steps = kinds.process.change(app, "restart")
  t.equal({ steps[1].argv, steps[2].argv }, { "down", { "up" } })
  t.equal(kinds.process.change({ status = { "look" } }, "restart"), nil)
  local function state(code)
    local look = looker { { code = code } }
    return kinds.process.status(app, look).state
  end
  t.equal({ state(0), state(1), state(3), state(4) }, { "active", "inactive", "inactive", "unknown" })
  local look, asked = looker {
    { stdout = "42\nSsl  Sat Nov 21\n" }, { stdout = "42\n", code = 1 }, { stdout = "42\nZs   Sat Nov 21\n" }, { code = 1 },
  }
  t.equal(kinds.process.status({ pid_file = "/run/a" }, look), { state = "active", pid = 42, identity = "42 Sat Nov 21" })
  t.equal(#asked, 1)
  t.equal(kinds.process.status({ pid_file = "/run/a" }, look), { state = "inactive", detail = "process 42 is gone" })
  t.equal(kinds.process.status({ pid_file = "/run/a" }, look), { state = "inactive", detail = "process 42 is gone" },
    "dead, not yet reaped")
  t.equal(kinds.process.status({ pid_file = "/run/a" }, look).detail, "no process id")
end)

t.test("an environment says one way a service runs, with that way's fields", function()
  local function refusal(config)
    local err = t.raises(service_settings.read, "services.app", config, { groups = { web = { "web1" } }, hosts = { web1 = {} } })
    return err.message, err.hint
  end
  t.contains(refusal { host = "web" }, "nothing says what runs it")
  t.contains(refusal { systemd = "a", docker = "b" }, "do not go together")
  t.contains(select(2, refusal { systemd = "a", hots = "web" }), "did you mean 'host'?")
  t.contains(refusal { systemd = "--now" }, "systemd: expected a name")
  t.contains(refusal { start = {}, status = { "x" } }, "start: expected a command")
  t.contains(refusal { start = { "x" } }, "nothing says whether it runs")
  t.contains(refusal { compose = "a" }, "has a name and a directory")
  local message, hint = refusal { systemd = "a", host = "wbe" }
  t.contains(message, "there is no host 'wbe'")
  t.equal(hint, "did you mean 'web'?")
end)

-- The adapter over a machine whose systemd is a table.

local machine, sent

local function show(unit)
  return ("LoadState=loaded\nActiveState=%s\nSubState=x\nResult=success\nMainPID=%d\nInvocationID=%s\n"):format(
    unit.state, unit.pid, unit.id)
end

local function run_process(given)
  local verb = given.argv[2] == "show" and "show" or given.argv[3]
  sent[#sent + 1] = table.concat(given.argv, " ")
  if verb == "show" then
    machine.looks = machine.looks + 1
    if machine.on_look then
      machine.on_look(machine.looks)
    end
    return { code = 0, stdout = show(machine), stderr = "", truncated = false, stdout_bytes = 1, stderr_bytes = 0 }
  end
  machine.on(verb)
  return { code = machine.code or 0, stdout = "", stderr = "it went wrong\n", truncated = false, stdout_bytes = 0, stderr_bytes = 14 }
end

local function adapter(behaviour)
  sent = {}
  machine = { state = "active", pid = 1, id = "one", looks = 0 }
  machine.on = behaviour.on or function(verb)
    machine.state, machine.pid, machine.id = verb == "stop" and "inactive" or "active", machine.pid + 1, machine.id .. "+"
  end
  machine.on_look, machine.code = behaviour.on_look, behaviour.code
  local now = 0
  local host = {
    json = {},
    system = { env = function() return "/bin" end, hostname = function() return "here" end, euid = 0 },
    process = { run = run_process, find = function() return "/bin/systemctl" end, jail_status = function() return true end },
    task = { sleep = function(seconds) now = now + seconds return true end },
    clock = { monotonic = function() return now end },
  }
  local environment = {
    name = "e", hosts = function() return { groups = {}, hosts = {} } end,
    connection = function() return { systemd = "app", timeout = 10 } end,
  }
  return new_adapter { host = host, environment = environment, run = {} }
end

local function change(behaviour, verb, opts)
  local service = adapter(behaviour)
  local effect = service.describe(verb, { name = "app", opts = opts })
  local token = service.prepare(verb, effect.request)
  return service.perform(verb, effect.request, token), token
end

t.test("a restart counts when it is up as another one, and still is a second later", function()
  local done, token = change({}, "restart")
  t.equal({ done.state, done.pid, done.hosts[1].host }, { "active", 2, "here" })
  t.equal(token.before[1].identity, "one")
  t.equal(sent[2], "systemctl --no-ask-password restart -- app")
end)

t.test("a restart after which the old one still runs is none", function()
  local err = t.raises(change, { on = function() end }, "restart")
  t.equal(err.outcome, "failed")
  t.contains(err.message, "'app' is not as it should be after restart: active")
  t.contains(err.hint, "systemctl status app")
end)

t.test("one that comes up and falls over again has not come up", function()
  local err = t.raises(change, { on_look = function(n) if n == 3 then machine.state = "failed" end end }, "restart")
  t.contains(err.message, "came up and did not stay up: failed")
end)

t.test("one that fails to start is told at once, not after the time-out", function()
  local err = t.raises(change, { on = function() machine.state, machine.id = "failed", "two" end }, "start")
  t.contains(err.message, "after start: failed")
  t.equal(machine.looks, 2)
end)

t.test("a change that nobody saw the end of is decided by how the service is now", function()
  local function settle(verb, before, now)
    local service = adapter {}
    for name, value in pairs(now) do
      machine[name] = value
    end
    return (service.settle(verb, { body = { service = "app" }, token = { before = { before } } }))
  end
  local old = { state = "active", identity = "one" }
  t.equal(settle("restart", old, { id = "two" }), "done")
  t.equal(settle("restart", old, {}), "not done")
  t.equal(settle("restart", old, { state = "activating", id = "two" }), nil)
  t.equal(settle("stop", old, { state = "inactive" }), "done")
  t.equal(settle("start", { state = "inactive" }, { state = "inactive", id = "" }), "not done")
end)

t.test("a restart that nobody saw the end of is claimed only where something shows a start since", function()
  local function seen(before, now)
    return requests.seen(requests.build("restart", { name = "app", opts = {} }, { kind = "process", start = "up", stop = "down" },
      function() end), before, now)
  end
  t.equal(seen({ state = "active" }, { state = "active" }), nil)
  t.equal(seen({ state = "active" }, { state = "active", identity = "7 now" }), nil)      -- its pid file may only be readable now
  t.equal(seen({ state = "unknown" }, { state = "active" }), nil)
  t.equal(seen({ state = "inactive" }, { state = "active" }), "reached")
  t.equal(seen({ state = "active", identity = "6 then" }, { state = "active", identity = "7 now" }), "reached")
  t.equal(seen({ state = "active", identity = "6 then" }, { state = "active", identity = "6 then" }), "untouched")
  t.equal(seen({ state = "active", identity = "6 then" }, { state = "inactive" }), "half")
  t.equal(seen({ state = "active" }, { state = "failed", identity = "7 now" }), "half")
  t.equal(seen({ state = "inactive" }, { state = "inactive" }), "untouched")
  t.equal(seen({ state = "active", identity = "6 then" }, { state = "missing" }), nil)
end)

t.test("a restart that was cut short while it was down is made again; one that nothing tells of is a person's", function()
  local function settle(before, now)
    local service = adapter {}
    for name, value in pairs(now) do
      machine[name] = value
    end
    return service.settle("restart", { body = { service = "app" }, token = { before = { before } } })
  end
  t.equal((settle({ state = "active", identity = "one" }, { state = "inactive", id = "" })), "repeat")
  t.equal((settle({ state = "active", identity = "one" }, { state = "failed", id = "two" })), "repeat")
  local word, why = settle({ state = "active" }, { id = "" })
  t.equal(word, nil)
  t.contains(why, "'app' is active now: x, and nothing shows whether it was started since")
end)

t.test("one that is on its way is waited for before it is judged", function()
  local service = adapter { on_look = function(n) machine.state = n < 4 and "activating" or "active" end }
  machine.id = "two"
  local word = service.settle("restart", { body = { service = "app" }, token = { before = { { state = "active", identity = "one" } } } })
  t.equal({ word, machine.looks }, { "done", 4 })
end)

t.test("what is down is not stopped by a restart, only started", function()
  local function ran(state)
    local app = { kind = "process", start = { "up" }, stop = { "down" }, status = { "look" } }
    local request = requests.build("restart", { name = "app", opts = {} }, app, function() end)
    local list = {}
    for _, step in ipairs(requests.steps_from(request, { state = state })) do
      list[#list + 1] = words(step)
    end
    return list
  end
  t.equal(ran "inactive", { "up" })
  t.equal(ran "active", { "down", "up" })
  t.equal(ran "unknown", { "down", "up" })
end)

t.test("a command that fails is told in its own words", function()
  local err = t.raises(change, { code = 1 }, "stop")
  t.contains(err.message, "'systemctl --no-ask-password stop -- app' exited with 1")
  t.contains(err.hint, "it went wrong")
end)

t.test("an operation that a service does not have skips the step, aloud", function()
  local err = t.raises(change, {}, "scale")
  t.contains(tostring(err), "expected how many")
  local service = adapter {}
  err = t.raises(service.describe, "scale", { 3, name = "app", opts = {} })
  t.equal(errors.is(err, "skip"), true)
  t.equal(err.message, "'app' is a systemd unit app, which has no 'scale'")
end)

t.test("a dry run shows the exact command", function()
  local service = adapter {}
  local effect = service.describe("stop", { name = "app", opts = {} })
  t.equal(effect.summary, "stop app (systemd unit app)")
  t.equal(service.preview("stop", effect.request).lines, { "systemctl --no-ask-password stop -- app" })
  t.equal(sent, {})
end)

t.test("releases in directories: the link never names none, what serves is what it names, the newest come first", function()
  local app = { kind = "systemd", systemd = "app", releases = "/srv/releases", current = "/srv/current" }
  local built, body = requests.build("release", { name = "app", "v2", opts = {} }, app, function() end)
  local sent_words = {}
  for i, step in ipairs(built.steps) do
    sent_words[i] = words(step)
  end
  t.equal(sent_words, {
    "ln -sfn -- /srv/releases/v2 /srv/current.opsrun", "mv -fT -- /srv/current.opsrun /srv/current",
    "systemctl --no-ask-password restart -- app",
  })
  t.equal({ body.verb, body.wanted, built.summary }, { "release", "v2", "release v2 of app (systemd unit app)" })
  local look, asked = looker { { stdout = "100.5\tv1\n300.1\tv3\n200.0\t-x\n200.0\tv2\n" }, { stdout = "releases/v2/\n" } }
  local rows = releases.list(app, look, 2)
  t.equal({ rows[1].id, rows[2].id, rows[2].serves, rows[1].serves, #rows }, { "v3", "v2", true, false, 2 })
  t.contains(asked[1], "find /srv/releases -mindepth 1 -maxdepth 1 -type d")
  look = looker { { code = 1 } }
  t.equal(releases.current(app, look), nil)
  look = looker { { code = 1 } }
  t.contains(t.raises(releases.need, app, look, "v9").message, "there is no release 'v9'")
  for _, id in ipairs { "../x", "-x", "", "a/b", "a b", ".x" } do
    t.contains(tostring(t.raises(requests.build, "release", { name = "app", id, opts = {} }, app, function() end)), "expected a release")
  end
end)

t.test("releases as images: the tag of the compose file is moved, and containers are made anew from it", function()
  local app = { kind = "compose", compose = "app", dir = "/srv", image = "shop", tag = "live" }
  local steps = kinds.compose.change(app, "release", "v1")
  t.equal(words(steps[1]), "docker tag shop:v1 shop:live")
  t.equal(words(steps[2]), "docker compose up --detach --no-deps --no-build app")
  t.equal(words(images.steps(app, "sha256:ab")[1]), "docker tag sha256:ab shop:live")
  local stored = {
    { ID = "sha256:11", Tag = "v1", CreatedAt = "2026-11-20 10:00:00 +0100 CET" },
    { ID = "sha256:22", Tag = "live", CreatedAt = "2026-11-21 10:00:00 +0000 UTC" },
    { ID = "sha256:22", Tag = "v2", CreatedAt = "2026-11-21 10:00:00 +0000 UTC" },
  }
  local look = looker { { stdout = "c1\n" }, { stdout = "sha256:22\n" }, { rows = stored }, { rows = stored } }
  local rows = kinds.compose.releases(app, look, 20)
  t.equal({ rows[1].id, rows[1].serves, rows[2].id, rows[2].serves, #rows }, { "v2", true, "v1", false, 2 })
  t.equal(kinds.compose.change({ compose = "app", dir = "/srv" }, "release", "v1"), nil)
  t.equal(rows[2].time, releases.time "2026-11-20T09:00:00.5Z")
  t.equal({ releases.time "1970-01-02T00:00:01Z", releases.time "soon" }, { 86401, 0 })
end)

t.test("half a release is made again, one whose restart nobody saw too; what is seen whole is done", function()
  local function seen(before, now, settings)
    local built = requests.build("release", { name = "app", "v2", opts = {} }, settings
      or { kind = "systemd", systemd = "app", releases = "/r", current = "/c" }, function() end)
    return requests.seen(built, before, now)
  end
  local before = { state = "active", identity = "one", release = "v1" }
  t.equal(seen(before, { state = "active", identity = "two", release = "v2" }), "reached")
  t.equal(seen(before, { state = "active", identity = "one", release = "v2" }), nil)
  t.equal(seen(before, { state = "active", identity = "one", release = "v1" }), "untouched")
  t.equal(seen({ state = "active", identity = "one", release = "v2" }, { state = "active", identity = "one", release = "v2" }), "untouched")
  t.equal(seen({ state = "active", release = "v1" }, { state = "active", release = "v2" }), nil)
  t.equal(seen(before, { state = "changing", identity = "two", release = "v2" }), "moving")
end)

--- An answer of a provider as look gives it.
local function answer(json)
  local said = { json = json, headers = {} }
  function said:at(path)
    local value = self.json
    for name in path:gmatch "[^.]+" do
      value = type(value) == "table" and value[name] or nil
    end
    return value
  end
  said.need = said.at
  return said
end

t.test("a rollback that Vercel is still at, or gave up, is told from an older one", function()
  local project = { vercel = "prj_1", http = "vercel" }
  local function status(job, serving)
    local function look()
      return answer { name = "shop", lastAliasRequest = job, targets = { production = { id = serving, readyState = "READY" } } }
    end
    return vercel.status(project, look, { verb = "release", wanted = "dpl_1", before = { mark = 100, release = "dpl_2" } })
  end
  local job = { type = "rollback", toDeploymentId = "dpl_1", requestedAt = 200, jobStatus = "in-progress" }
  t.equal({ status(job, "dpl_2").state, status(job, "dpl_2").begun }, { "changing", "dpl_1" })
  job.jobStatus = "failed"
  t.equal({ status(job, "dpl_2").state, status(job, "dpl_2").detail }, { "failed", "rollback to dpl_1: failed" })
  job.requestedAt = 100
  t.equal({ status(job, "dpl_2").state, status(job, "dpl_2").begun }, { "active", nil })
  job.jobStatus = "succeeded"
  t.contains(status(job, "dpl_1").held, "no new deployment goes live")
  t.equal(status(nil, "dpl_1").held, nil)
end)

t.test("a release older than what serves is a rollback, a newer one a promotion; nothing is pasted into a path", function()
  local function path(created)
    return vercel.request({ vercel = "a/b", http = "v" }, { verb = "release", wanted = "dpl_1" },
      { created = 10, target = { created = created } }).path
  end
  t.equal({ path(9), path(11) }, { "/v1/projects/a%2Fb/rollback/dpl_1", "/v10/projects/a%2Fb/promote/dpl_1" })
  t.equal(netlify.request({ netlify = "a/b" }, { verb = "restart", key = "k" }),
    { method = "POST", path = "/sites/a%2Fb/builds", query = { title = "opsrun k" } })
end)

t.test("an environment says which connection leads to a platform, and which directories hold releases", function()
  local function refusal(config)
    local err = t.raises(service_settings.read, "services.app", config, nil, { vercel = {} })
    return err.message .. " " .. tostring(err.hint)
  end
  t.contains(refusal { vercel = "prj_1" }, "no http connection to vercel is named")
  t.contains(refusal { vercel = "prj_1", http = "vercle" }, "did you mean 'vercel'?")
  t.contains(refusal { vercel = "prj_1", http = "vercel", host = "web" }, "unknown field 'host'")
  t.contains(refusal { systemd = "a", releases = "/srv/r" }, "'releases' and 'current' go together")
  t.contains(refusal { systemd = "a", releases = "srv", current = "/c" }, "releases: expected an absolute path")
  t.contains(refusal { systemd = "a", netlify = "b" }, "do not go together")
  t.equal(service_settings.read("x", { netlify = "s", http = "vercel" }, nil, { vercel = {} }).kind, "netlify")
end)
