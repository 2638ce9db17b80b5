--- A service of docker compose: some containers. Pure; the contract is in runtime/service/systemd.lua.
local docker = require "runtime.service.docker"
local images = require "runtime.service.images"
local compose = {}

local function words(settings, ...)
  local argv = { "docker", "compose" }
  if settings.project then
    table.move({ "--project-name", settings.project }, 1, 2, #argv + 1, argv)
  end
  if settings.file then
    table.move({ "--file", settings.file }, 1, 2, #argv + 1, argv)
  end
  local more = { ... }
  return table.move(more, 1, #more, #argv + 1, argv)
end

function compose.called(settings)
  return ("service %s of %s"):format(settings.compose, settings.dir)
end

--- The worst of its containers decides; those that run are counted.
local rank = { active = 1, inactive = 2, unknown = 3, changing = 4, failed = 5 }

local function containers(settings, look)
  return look(words(settings, "ps", "--all", "--quiet", settings.compose), nil, settings.dir):lines()
end

function compose.status(settings, look)
  local ids = containers(settings, look)
  local list = #ids > 0 and docker.inspect(ids, look) or {}
  if #list == 0 then
    return { state = "inactive", detail = "no container", running = 0 }
  end
  local whole, identities = { state = "active", running = 0 }, {}
  for i, one in ipairs(list) do
    if rank[one.state] > rank[whole.state] then
      whole.state, whole.detail = one.state, one.detail
    end
    whole.running = whole.running + one.running
    identities[i] = tostring(one.identity)
  end
  if whole.state == "inactive" and whole.running > 0 then
    whole.state = "failed" -- some run, some do not
  end
  table.sort(identities)
  whole.identity = table.concat(identities, " ")
  whole.pid = #list == 1 and list[1].pid or nil
  whole.detail = whole.detail or ("%d running"):format(whole.running)
  whole.release = settings.image and images.current(settings, ids, look) or nil
  return whole
end

function compose.releases(settings, look, limit)
  if not settings.image then
    return nil
  end
  return images.list(settings, images.current(settings, containers(settings, look), look), look, limit)
end

function compose.change(settings, verb, wanted)
  local name = settings.compose
  local up = { "up", "--detach", "--no-deps", "--no-recreate", "--no-build" }
  if verb == "restart" or verb == "stop" then
    up = { verb, name }
  elseif verb == "start" then
    up[#up + 1] = name
  elseif verb == "scale" then
    table.move({ "--scale", ("%s=%d"):format(name, wanted), name }, 1, 3, #up + 1, up)
  elseif verb == "release" and settings.image then -- another image behind the same tag: its containers are made anew
    local step = images.steps(settings, wanted)[1]
    return { step, { argv = words(settings, "up", "--detach", "--no-deps", "--no-build", name), cwd = settings.dir } }
  else
    return nil
  end
  return { { argv = words(settings, table.unpack(up)), cwd = settings.dir } }
end

function compose.advice(settings)
  return ("docker compose logs --tail 50 %s, in %s"):format(settings.compose, settings.dir)
end

return compose
