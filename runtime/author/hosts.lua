--- hosts "web": the names of the hosts behind a name of the environment, for each(…) and for `host =`.
local arguments = require "runtime.author.arguments"
local context = require "runtime.context"
local host_settings = require "runtime.host_settings"
local hosts = {}

---@param host table
function hosts.build(host)
  local api = {}

  --- No effect: what the environment says.
  ---@param name string a group or a host
  ---@return string[] names in the environment's order
  function api.hosts(name)
    local current = context.need "hosts"
    local where = host.where()
    if type(name) ~= "string" then
      arguments.misuse(where, ("hosts: expected a name of the environment's hosts, got %s"):format(type(name)))
    end
    local environment = current.run.environment
    environment.has("hosts", name)
    local names = host_settings.members(environment.hosts(), name)
    return table.move(names, 1, #names, 1, {})
  end

  return api
end

return hosts
