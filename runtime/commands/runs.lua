--- opsrun runs: what was played, newest first, and what is left of it.
local history = require "runtime.history"
local journal = require "runtime.journal"
local table_text = require "runtime.table_text"

--- "2026-11-21T03:12:07.123Z" so many seconds later, as seconds since 1970.
local function ends(clock, since, seconds)
  local year, month, day, hour, min, sec = since:match "^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)"
  local function number(text)
    return math.tointeger(tonumber(text))
  end
  local fields = {
    year = number(year), month = number(month), day = number(day), hour = number(hour), min = number(min), sec = number(sec),
  }
  return clock.epoch(fields, "Etc/UTC") + seconds
end

--- What runs switched on to stay until somebody takes it back, one row each.
local function standing_rows(host)
  local rows = { columns = { "run", "environment", "since", "expires", "what" } }
  for _, summary in ipairs(history.all()) do
    for _, item in ipairs(summary.standing or {}) do
      local till = item.expires and ends(host.clock, item.since, item.expires)
      local expired = till and till < host.clock.wall()
      rows[#rows + 1] = {
        run = summary.run,
        environment = summary.environment,
        since = item.since,
        expires = till and (host.clock.utc(till):sub(1, 16) .. (expired and " EXPIRED" or "")) or nil,
        what = item.text,
      }
    end
  end
  return rows, "nothing stands that a run switched on to stay"
end

local function run_rows()
  local rows = { columns = { "run", "started", "mode", "environment", "operator", "state", "code", "changes" } }
  local left = false
  for _, summary in ipairs(history.all()) do
    rows[#rows + 1] = summary
    left = left or summary.left ~= nil
  end
  if left then
    rows.columns[#rows.columns + 1] = "left"
  end
  return rows, ("no runs yet in %s"):format(journal.home())
end

---@param services {host: table, options: table}
---@return integer exit code
return function(services)
  local host = services.host
  table_text.open(host.term.display_width, host.term.shown)
  local rows, nothing = (services.options.flags.standing and standing_rows or run_rows)(host)
  if services.options.flags.json then
    for _, row in ipairs(rows) do
      host.term.out(host.json.encode(row) .. "\n")
    end
    return 0
  end
  if #rows == 0 then
    host.term.out(nothing .. "\n")
    return 0
  end
  local width = host.term.is_terminal() and host.term.width() or nil
  for _, line in ipairs(table_text.rows(rows, nil, width)) do
    host.term.out(line .. "\n")
  end
  return 0
end
