--- Containers on this host, through the docker command on the PATH.

local docker = {}

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

return docker
