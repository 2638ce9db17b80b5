--- sleep and now: the clock of the run. In a dry run sleeping only moves it.
local errors = require "runtime.errors"
local seconds_of = require "runtime.seconds"

---@param services {host: table, run: table}
return function(services)
  local host, run = services.host, services.run
  local adapter = {}

  function adapter.describe(verb, args)
    local seconds = verb == "sleep" and seconds_of(args[1]) or nil
    return {
      target = "clock",
      summary = verb == "sleep" and ("sleep %s"):format(tostring(args[1])) or "now",
      body = { seconds = seconds },
      request = seconds,
      opts = args.opts,
    }
  end

  function adapter.perform(verb, seconds)
    if verb == "now" then
      return host.clock.wall() + run.clock_offset
    end
    if run.dry then
      run.clock_offset = run.clock_offset + seconds
      return nil
    end
    local ok, err = host.task.sleep(seconds)
    if not ok then
      error(errors.from_host(err, "read"), 0)
    end
  end

  return adapter
end
