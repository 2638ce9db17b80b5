--- Services with a way back: stopped for a while, started, scaled, released, and taken back when the run fails or ends.
--- `service "app"` of this module is the primitive: :status() :restart() :stop() :start() :scale(n) :releases() :release(id).

local services = {}

local function is(name, state)
  return function()
    return service(name):status().state == state
  end
end

--- Sees to it that a service is stopped. Was it running, it is started again as `lasts` says, unless it runs by then.
---@param name string as the environment calls it
---@param opts { lasts: string?, confirm: boolean|string? }? as of ensure; lasts: "run" unless told otherwise
---@return table handle of ensure: .ours, .back()
function services.stopped(name, opts)
  return ensure(("%s is stopped"):format(name), {
    is = is(name, "inactive"),
    make = function() service(name):stop() end,
    back = function()
      if not is(name, "active")() then service(name):start() end
    end,
    confirm = opts and opts.confirm,
    lasts = opts and opts.lasts or "run",
  })
end

--- Sees to it that a file is there, by which programs know of something: that maintenance is on. It is gone at the end of
--- the run, or before, unless it was there already.
---@param path string the header's `uses.files` must allow it
---@param text string what stands in it
---@return table handle of ensure: .ours, .back()
function services.flagged(path, text)
  return ensure(("%s is there"):format(path), {
    is = function() return files.stat(path) ~= nil end,
    make = function() files.write(path, text) end,
    back = function()
      if files.stat(path) then files.remove(path) end
    end,
    lasts = "run",
  })
end

--- Sees to it that a service runs. Was it stopped, it is stopped again as `lasts` says.
---@param name string
---@param opts { lasts: string?, confirm: boolean|string? }? lasts: "success" unless told otherwise
---@return table handle of ensure: .ours, .back()
function services.started(name, opts)
  return ensure(("%s runs"):format(name), {
    is = is(name, "active"),
    make = function() service(name):start() end,
    back = function() service(name):stop() end,
    confirm = opts and opts.confirm,
    lasts = opts and opts.lasts,
  })
end

--- Sees to it that so many of a service run; the way back is as many as there were.
---@param name string
---@param count integer
---@param opts { lasts: string?, confirm: boolean|string?, expires: any? }? lasts: "success" unless told otherwise; expires:
--- a duration, of a standing one
---@return table handle of ensure: .ours, .back()
function services.scaled(name, count, opts)
  local before = service(name):status().running
  return ensure(("%d of %s run"):format(count, name), {
    is = function() return service(name):status().running == count end,
    make = function() service(name):scale(count) end,
    back = function() service(name):scale(before) end,
    confirm = opts and opts.confirm,
    lasts = opts and opts.lasts,
    expires = opts and opts.expires,
  })
end

--- Sees to it that a release serves. The way back is the release that served before.
---@param name string
---@param id string as service(name):releases() lists it
---@param opts { lasts: string?, confirm: boolean|string?, timeout: any, settle: any }? lasts: "success" unless told otherwise
---@return table handle of ensure: .ours, .back()
function services.released(name, id, opts)
  opts = opts or {}
  local before = service(name):status().release
  local how, soon = { timeout = opts.timeout, settle = opts.settle }, { settle = opts.settle }
  return ensure(("%s serves %s"):format(name, id), {
    is = function() return service(name):status().release == id end,
    make = function() service(name):release(id, how) end,
    back = function()
      if not before then fail("nobody knows what %s served before", name) end
      service(name):release(before, soon)      -- the way back has all the time there is
    end,
    confirm = opts.confirm,
    lasts = opts.lasts,
  })
end

return setmetatable(services, {
  __call = function(_, name)
    return service(name)
  end,
})
