--- Containers on this host, through the docker command on the PATH.

local docker = {}

local NAMELESS = "(no name)"

--- Restarts a container: its processes get TERM, ten seconds later KILL. A change.
--- The playbook's `uses` must allow "docker restart".
---@param container string name or id
---@param opts { timeout: any }? default 2m
---@return table result of the command
function docker.restart(container, opts)
  return shell.run({ "docker", "restart", container }, { timeout = opts and opts.timeout or "2m" })
end

--- Whether a container runs. The engine is asked over its socket: declared a read, not proved.
---@param container string
---@return boolean
function docker.is_running(container)
  local result = shell.read({ "docker", "inspect", "-f", "{{.State.Running}}", container }, { net = true })
  return result.text == "true"
end

--- All containers, running or not. The engine is asked over its socket: declared a read, not proved.
---@return table rows name, state ("running", "exited" …), status ("Up 2 hours"), ports
---@return table<string, string> states by name
function docker.containers()
  local rows, states = { columns = { "name", "state", "status", "ports" } }, {}
  for i, item in ipairs(shell.read({ "docker", "ps", "--all", "--format", "{{json .}}" }, { net = true }):rows()) do
    rows[i] = { name = item.Names, state = item.State, status = item.Status, ports = item.Ports }
    states[item.Names] = item.State
  end
  return rows, states
end

--- The last lines a container wrote, as an artifact of the run.
---@param name string
---@param lines integer
function docker.keep_logs(name, lines)
  artifact("docker-" .. name .. ".log",
    shell.read({ "docker", "logs", "--timestamps", "--tail", tostring(lines), name }, { net = true }).text .. "\n")
end

--- What each container that runs takes now.
---@param host string? a host of the environment; without it: this machine
---@return table rows name, cpu (percent of one processor), memory ("120MiB / 512MiB", the limit behind it), memory_percent,
--- processes; as docker says them
function docker.stats(host)
  local rows = { columns = { "name", "cpu", "memory", "memory_percent", "processes" } }
  local words = { "docker", "stats", "--no-stream", "--format", "{{json .}}" }
  for i, item in ipairs(shell.read(words, { host = host, net = not host or nil, timeout = "1m" }):rows()) do
    rows[i] = {
      name = item.Name, cpu = tonumber((item.CPUPerc:gsub("%%", ""))), memory = item.MemUsage,
      memory_percent = tonumber((item.MemPerc:gsub("%%", ""))), processes = tonumber(item.PIDs),
    }
  end
  return rows
end

--- Shows what docker takes on disk, by kind.
function docker.show_use()
  show(shell.read({ "docker", "system", "df" }, { net = true }).text, { title = "docker" })
end

--- Shows where a volume is and what it was made with; raises when there is none.
---@param name string
function docker.show_volume(name)
  show(shell.read({ "docker", "volume", "inspect", name }, { net = true }).text, { title = "volume " .. name })
end

--- Removes a volume with all it holds; docker refuses one that a container has, running or not. A change, with no way
--- back. The playbook's `uses` must allow "docker volume rm".
---@param name string
function docker.remove_volume(name)
  shell.run({ "docker", "volume", "rm", name }, { timeout = "10m" })
end

--- Facts of the engine's objects, one JSON text a line.
local function inspect(kind, ids, format)
  if #ids == 0 then return {} end
  local argv = { "docker", kind, "inspect", "--format", format }
  for _, id in ipairs(ids) do
    argv[#argv + 1] = id
  end
  return shell.read(argv, { net = true }):rows()
end

local function list(...)
  return shell.read({ "docker", ... }, { net = true }):lines()
end

--- What docker leaves behind: containers that ended, images without a name, and images that are named here.
---@param opts { age: table, images: string[]? } age: a duration, so long ago at least; images: go whatever their age
---@return table rows kind ("container", "image"), id, name, age (duration) ; containers first
function docker.leftovers(opts)
  local rows, moment = { columns = { "kind", "name", "id", "age" } }, now()
  local function add(kind, found, since, always)
    for _, item in ipairs(found) do
      local age = moment - time.parse(item.since)
      if always or age >= since then
        rows[#rows + 1] = { kind = kind, id = item.id, name = item.name:gsub("^/", ""), age = age }
      end
    end
  end
  add("container", inspect("container", list("ps", "--all", "--quiet", "--no-trunc", "--filter", "status=exited"),
    '{"id":{{json .Id}},"name":{{json .Name}},"since":{{json .State.FinishedAt}}}'), opts.age)
  local image = '{"id":{{json .Id}},"name":"%s","since":{{json .Created}}}'
  add("image", inspect("image", list("image", "ls", "--quiet", "--no-trunc", "--filter", "dangling=true"),
    image:format(NAMELESS)), opts.age)
  for _, name in ipairs(opts.images or {}) do
    add("image", inspect("image", { name }, image:format(name)), opts.age, true)
  end
  return rows
end

--- Removes leftovers as they were listed, never by force: docker refuses what runs or is used, which ends it. Volumes
--- of a container stay. The playbook's `uses` must allow "docker rm" and "docker image rm".
---@param rows table of `leftovers`
function docker.remove(rows)
  local containers, images = { "docker", "rm" }, { "docker", "image", "rm" }
  for _, item in ipairs(rows) do
    local argv = item.kind == "container" and containers or images
    argv[#argv + 1] = item.name == NAMELESS and item.id or item.name
  end
  if #containers > 2 then shell.run(containers, { timeout = "10m" }) end
  if #images > 3 then shell.run(images, { timeout = "10m" }) end
end

return docker
