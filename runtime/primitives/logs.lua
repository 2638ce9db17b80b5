--- The logs adapter: one pass over the files that the environment names. What was read, and which time it
--- covers, is said with every result; nothing readable at all is a failure, never a count of 0.
local context = require "runtime.context"
local errors = require "runtime.errors"
local report = require "runtime.report"
local request_of = require "runtime.logs.request"
local size_words = require "runtime.files.request".size_words
local seconds_of = require "runtime.seconds"
local text = require "runtime.text"
local times = require "runtime.times"

local named_most = 5
--- Logs without a window: times of so long ago are still told apart by the zone's rules.
local history = 400 * 86400

local hints = {
  missing = "the environment's logs.%s.paths says where they are",
  unread = "may this user read them?",
  timeout = "timeout = \"10m\" lets it take longer",
}

local function note(message)
  local current = context.current()
  report.emit { event = "note", step = current and current.step and current.step.shown, text = message }
end

---@param services {host: table, environment: table, run: table}
return function(services)
  local host, environment = services.host, services.environment
  local adapter = {}

  local function time_text(epoch)
    return epoch and times.text(host.clock, environment.timezone, epoch) or nil
  end

  local function window_of(window)
    if type(window) == "string" then
      local parsed = times.window(host.clock, environment.timezone, window)
      if not parsed then
        error(errors.wrap(("logs:scan: window: '%s' is no window of time, such as 'last 24h'"):format(window)), 0)
      end
      return parsed
    elseif window ~= nil and not times.is_window(window) then
      error(errors.wrap(("logs:scan: window: expected a window of time, got %s"):format(type(window))), 0)
    end
    return window
  end

  function adapter.describe(_, args)
    local call = args[1]
    local window = window_of(call.window)
    local from, to = window and window.from.epoch, window and window.to.epoch
    local source = request_of.source(args.name, environment.connection("logs", args.name))
    local queries = request_of.queries(call, window and to - from)
    local names = {}
    for i, query in ipairs(queries) do
      names[i] = query.name
    end
    return {
      target = args.name,
      summary = ("scan %s for %s%s"):format(args.name, table.concat(names, ", "), window and ", " .. window.label or ""),
      body = { paths = source.paths, window = window and window.label, queries = queries },
      request = {
        name = args.name,
        window = window,
        send = {
          paths = source.paths,
          format = source.format,
          time_field = source.time_field,
          from = from,
          to = to,
          queries = queries,
          timeout = call.timeout ~= nil and seconds_of(call.timeout, "logs:scan: timeout") or nil,
        },
      },
      opts = args.opts,
    }
  end

  --- The order of columns, which the journal does not keep.
  local function dress(result)
    result.files.columns = { "path", "lines", "bytes", "first", "last" }
    result.unread.columns = { "path", "reason" }
    for _, value in pairs(result) do
      if type(value) == "table" and value.groups then
        value.groups.columns = { "value", "count" }
      end
      if type(value) == "table" and value.series then
        value.series.columns = { "at", "count" }
      end
    end
    return result
  end

  local function tally(answer, query, from)
    local result = {}
    for name, value in pairs(answer) do
      result[name] = value
    end
    result.name = nil
    result.mean = result.values and result.sum / result.values or nil
    for i, count in ipairs(answer.series or {}) do
      result.series[i] = { at = time_text(from + (i - 1) * query.per), count = count }
    end
    return result
  end

  --- Which files, how much of them, from when to when: a count means nothing without it.
  local function say_read(request, result)
    local names = {}
    for i, file in ipairs(result.files) do
      names[i] = i <= named_most and file.path or nil
    end
    if #result.files > named_most then
      names[#names + 1] = ("%d more"):format(#result.files - named_most)
    end
    local covered = result.from and (", %s to %s"):format(result.from, result.to) or ""
    note(("%s: read %s, %s of them%s%s"):format(
      request.name,
      #names > 0 and table.concat(names, ", ") or "no file: none was written to since then",
      text.plural(result.lines, "line", "lines"),
      covered,
      #result.skipped > 0 and ("; %s not written to since then"):format(text.plural(#result.skipped, "file", "files")) or ""
    ))
    for i, file in ipairs(result.unread) do
      if i <= named_most * 4 then
        note(("not read: '%s': %s"):format(file.path, file.reason))
      end
    end
    if result.undated > 0 then
      note(("%s without a time, which count for no window"):format(text.plural(result.undated, "line", "lines")))
    end
  end

  local function finish(answer, request)
    local window, first, last = request.window, nil, nil
    local result = {
      files = answer.files,
      skipped = answer.skipped,
      unread = answer.unread,
      lines = answer.lines,
      bytes = answer.bytes,
      undated = answer.undated,
    }
    for _, file in ipairs(answer.files) do
      first = math.min(first or file.first or math.huge, file.first or math.huge)
      last = math.max(last or file.last or -math.huge, file.last or -math.huge)
      file.first, file.last, file.size = time_text(file.first), time_text(file.last), size_words(file.bytes)
    end
    if window then
      first, last = window.from.epoch, window.to.epoch
    end
    if first and math.abs(first) < math.huge then
      result.from, result.to = time_text(first), time_text(last)
    end
    for i, query in ipairs(request.send.queries) do
      result[query.name] = tally(answer.queries[i], query, first)
    end
    return dress(result)
  end

  function adapter.perform(_, request)
    local now = host.clock.wall()
    local send = request.send
    local ok
    ok, send.zones = pcall(request_of.zones, host.clock, environment.timezone, send.from or now - history, math.max(send.to or now, now))
    if not ok then
      error(errors.precondition { message = ("the environment's timezone '%s': %s"):format(environment.timezone, tostring(send.zones)) }, 0)
    end
    local answer, err = host.logs.scan(send)
    if not answer then
      err.hint = err.hint or (hints[err.code] and hints[err.code]:format(request.name))
      error(errors.from_host(err, "read"), 0)
    end
    local result = finish(answer, request)
    say_read(request, result)
    return result
  end

  function adapter.keep(_, result)
    return result
  end

  function adapter.revive(_, kept)
    return dress(kept)
  end

  return adapter
end
