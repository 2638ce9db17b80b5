--- A service that is a container of docker. Pure; the contract is in runtime/service/systemd.lua.
local errors = require "runtime.errors"
local docker = {}

local states = {
  running = "active", created = "inactive", exited = "inactive", paused = "inactive", dead = "failed",
  restarting = "changing", removing = "changing",
}
local healths = { starting = "changing", unhealthy = "failed" }

--- The facts of one container, from `docker inspect --format {{json .State}}`.
function docker.facts(state)
  local health = type(state.Health) == "table" and state.Health.Status or nil
  local known = states[state.Status] or "unknown"
  if known == "active" and healths[health] then
    known = healths[health]
  end
  local pid = math.tointeger(state.Pid)
  return {
    state = known,
    detail = health and ("%s, %s"):format(state.Status, health) or state.Status,
    pid = pid and pid > 0 and pid or nil,
    identity = state.StartedAt,
    running = state.Status == "running" and 1 or 0,
  }
end

--- Asks for containers by name or id; facts in their order, nil where there is none.
function docker.inspect(names, look)
  local argv = { "docker", "inspect", "--type=container", "--format", "{{json .State}}", "--" }
  local answer = look(table.move(names, 1, #names, #argv + 1, argv), { 0, 1 })
  if answer.code == 1 then
    if answer.stderr:find "[Nn]o such" then
      return nil
    end
    error(errors.effect {
      message = ("docker cannot say how '%s' is: %s"):format(names[1], answer.stderr:match "[^\n]+" or "no reason given"),
      code = "1",
      outcome = "failed",
    }, 0)
  end
  local list = {}
  for i, row in ipairs(answer:rows()) do
    list[i] = docker.facts(row)
  end
  return list
end

function docker.called(settings)
  return "container " .. settings.docker
end

function docker.status(settings, look)
  local found = docker.inspect({ settings.docker }, look)
  return found and found[1] or { state = "missing", running = 0 }
end

local verbs = { restart = true, start = true, stop = true }

function docker.change(settings, verb)
  return verbs[verb] and { { argv = { "docker", verb, "--", settings.docker } } } or nil
end

function docker.advice(settings)
  return ("docker logs --tail 50 %s"):format(settings.docker)
end

return docker
