--- Where the runtime starts: receives the host table and what the command line said, hands the parts
--- on, runs the command, turns an error into one clear message and an exit code.
local errors = require "runtime.errors"

--- Commands that neither play nor read runs: they start without the modules that do.
local simple = { list = true }

--- opsrun itself takes about 8 MiB.
local least_memory = 16 * 1024 * 1024

--- The text of an error for stderr: what, where, what to try.
local function tell(host, err)
  local where = err.where and (err.where .. ": ") or ""
  if err.message:sub(1, #where) == where then
    where = ""
  end
  host.term.message("error", where .. err.message, err.hint)
end

--- --memory SIZE: what the playbook may keep; the process ends when it is more.
local function set_memory(host)
  local given = host.options.flags.memory
  if not given then
    return
  end
  local size = require("runtime.units").size(given:lower())
  if not size or size.bytes < least_memory then
    error(errors.usage {
      message = ("--memory '%s': expected a size from 16mb on"):format(given),
      hint = "for example --memory 2gb; without it 1gb",
    }, 0)
  end
  host.memory.cap(size.bytes)
end

return function(host)
  if not simple[host.options.command] then
    require("runtime.context").open(host.task)
    require("runtime.tasks").open(host.task)
    require("runtime.journal").open_host(host)
    require("runtime.text").mask_with(host.mask.apply)
    require("runtime.plain").open(host.json, host.clock)
  end
  local services = { host = host, options = host.options, errors = errors }
  if host.options.flags.color then
    host.term.set_colour(host.options.flags.color)
  end
  local ok, code = pcall(function()
    set_memory(host)
    return require("runtime.commands." .. host.options.command)(services)
  end)
  if ok then
    return code or 0
  end
  local err = errors.wrap(code)
  if err.kind == "script" then
    host.term.message("error", err.message, "this is a bug of opsrun: please report it with the command line")
    return errors.kinds.bug
  end
  tell(host, err)
  return errors.kinds[err.kind] or 1
end
