--- sleep, now, time.left: the clock of the run. In a dry run sleeping only moves it.
local context = require "runtime.context"
local errors = require "runtime.errors"
local pure = require "runtime.time.pure"
local seconds_of = require "runtime.seconds"
local times = require "runtime.times"
local units = require "runtime.units"

---@param services {host: table, run: table, environment: table}
return function(services)
  local host, run = services.host, services.run
  local zone = services.environment.timezone or "Etc/UTC"
  local adapter, perform = {}, {}
  pure.open(host.clock, zone)

  local function summary_of(verb, args)
    if verb == "sleep" then
      return ("sleep %s"):format(tostring(args[1]))
    end
    return verb == "left" and "time left" or verb
  end

  function adapter.describe(verb, args)
    local seconds = verb == "sleep" and seconds_of(args[1]) or nil
    return {
      target = "clock",
      summary = summary_of(verb, args),
      body = { seconds = seconds },
      request = seconds,
      opts = args.opts,
    }
  end

  function perform.now()
    return times.at(host.clock, zone, host.clock.wall() + run.clock_offset)
  end

  --- Until the earlier of the step's timeout and the run's deadline; `ends_at` is inherited by steps inside.
  function perform.left()
    local ends_at = math.min(context.current().ends_at or math.huge, run.ends_at or math.huge)
    if ends_at == math.huge then
      return nil
    end
    return units.span(math.max(0, ends_at - host.clock.monotonic()))
  end

  function perform.sleep(seconds)
    if run.dry then
      run.clock_offset = run.clock_offset + seconds
      return
    end
    local ok, err = host.task.sleep(seconds)
    if not ok then
      error(errors.from_host(err, "read"), 0)
    end
  end

  function adapter.perform(verb, seconds)
    return perform[verb](seconds)
  end

  return adapter
end
