--- Where environments are looked for: --config DIR, /etc/opsrun, the XDG configuration directory, here.
local errors = require "runtime.errors"
local text = require "runtime.text"
local files = {}

local SYSTEM = "/etc/opsrun"

--- The bases of what an operator configures, first wins: --config, the system's, the user's, here.
local function bases(host, config)
  local list = {}
  if config then
    list[#list + 1] = config
  end
  list[#list + 1] = SYSTEM
  local xdg = host.system.env "XDG_CONFIG_HOME"
  local home = host.system.home()
  if xdg and xdg:sub(1, 1) == "/" then
    list[#list + 1] = xdg .. "/opsrun"
  elseif home then
    list[#list + 1] = home .. "/.config/opsrun"
  end
  return list
end

--- Directories that may hold NAME.lua, first wins.
local function directories(host, config)
  local list = {}
  for _, base in ipairs(bases(host, config)) do
    list[#list + 1] = base
    list[#list + 1] = base .. "/environments"
  end
  list[#list + 1] = "environments"
  return list
end

--- Directories beside the environments' that hold another room of what is configured, such as thresholds.
---@param room string
---@return string[] first wins
function files.rooms(host, config, room)
  local list = {}
  for _, base in ipairs(bases(host, config)) do
    list[#list + 1] = base .. "/" .. room
  end
  list[#list + 1] = room
  return list
end

--- Does the path lie in the directory that only an administrator writes?
function files.is_system(path)
  return path:sub(1, #SYSTEM + 1) == SYSTEM .. "/"
end

local function is_file(host, path)
  local facts = host.files.stat(path)
  return facts ~= nil and facts.type == "file"
end

--- The path of an environment, and all paths that hold one of that name; nil when there is none.
function files.find(host, config, name)
  local found = {}
  if not name:find "^[%w_][%w_.-]*$" then
    return nil, found
  end
  for _, directory in ipairs(directories(host, config)) do
    local path = ("%s/%s.lua"):format(directory, name)
    if is_file(host, path) then
      found[#found + 1] = path
    end
  end
  return found[1], found
end

local function names_in(host, directory, set)
  for _, entry in ipairs(host.files.list(directory) or {}) do
    local name = entry:match "^([%w_][%w_.-]*)%.lua$"
    if name and is_file(host, directory .. "/" .. entry) then
      set[name] = true
    end
  end
end

--- Names of all environments, sorted. With --config only those in its directory, if there are any.
function files.names(host, config)
  local set = {}
  if config then
    names_in(host, config, set)
    names_in(host, config .. "/environments", set)
  end
  if next(set) == nil then
    for _, directory in ipairs(directories(host, nil)) do
      names_in(host, directory, set)
    end
  end
  return text.keys(set)
end

--- The only environment there is; else an error that lists them.
function files.only_one(host, config)
  local names = files.names(host, config)
  if #names == 1 then
    return names[1]
  end
  error(errors.usage {
    message = #names == 0 and "no environment is given, and there is none"
      or ("no environment is given, and there are %d"):format(#names),
    hint = #names == 0 and ("looked in: " .. table.concat(directories(host, config), ", "))
      or ("choose one with -e: " .. table.concat(names, ", ")),
  }, 0)
end

--- The error for a name that no file has.
function files.unknown(host, config, name)
  local names = files.names(host, config)
  local near = text.nearest(name, names)
  return errors.usage {
    message = ("no environment '%s'"):format(name),
    hint = near and ("did you mean '%s'?"):format(near)
      or #names > 0 and ("there are: " .. table.concat(names, ", "))
      or ("looked in: " .. table.concat(directories(host, config), ", ")),
  }
end

--- The text of an environment file, or of another that is configured. One that others may write is refused: they
--- would choose which server the operator's password is sent to.
---@param what string? what the file is; default "environment"
function files.read(host, path, what)
  what = what or "environment"
  local facts, err = host.files.stat(path)
  if facts and facts.mode & 2 ~= 0 then
    error(errors.precondition {
      message = ("%s '%s' may be written by everybody"):format(what, path),
      hint = ("chmod o-w '%s', after a look at what it says"):format(path),
    }, 0)
  elseif facts and facts.uid ~= 0 and facts.uid ~= host.system.euid then
    error(errors.precondition {
      message = ("%s '%s' belongs to another user (uid %d)"):format(what, path, facts.uid),
      hint = "such a file belongs to root or to who plays",
    }, 0)
  end
  local source
  if facts then
    source, err = host.files.read(path, 1024 * 1024)
  end
  if not source then
    error(errors.precondition { message = err.message }, 0)
  end
  return source
end

return files
