--- Units of systemd on this host, and what they wrote to the journal. Reads only.
-- systemctl asks over a socket: declared a read, not proved.

local systemd = {}

--- How units are. One that is not there has the state "not-found".
---@param names string[] "nginx" or "nginx.service"
---@return table rows unit (as asked for), state ("active", "failed" …), sub
function systemd.units(names)
  local rows = { columns = { "unit", "state", "sub" } }
  for _, name in ipairs(names) do
    local said = shell.read({ "systemctl", "show", "--no-pager", "--property=LoadState,ActiveState,SubState", "--", name },
      { net = true }).text
    local load_state = said:match "LoadState=([%w-]+)"
    rows[#rows + 1] = {
      unit = name, sub = said:match "SubState=([%w-]+)",
      state = load_state == "loaded" and said:match "ActiveState=([%w-]+)" or load_state or "unknown",
    }
  end
  return rows
end

--- How many messages of priority err and worse a unit wrote. A journal that knows nothing of the unit
--- is no journal without errors: that raises.
---@param unit string
---@param window table a duration, up to now
---@return integer count
function systemd.errors(unit, window)
  local function read(...)
    local argv = { "journalctl", "--quiet", "--no-pager", "--output=json", "--output-fields=PRIORITY", "--unit=" .. unit, ... }
    return shell.read(argv)
  end
  if read("--lines=1").text == "" then
    fail("the journal holds nothing of unit '%s'", unit)
  end
  local found = read("--priority=err", ("--since=-%ds"):format(math.ceil(window.seconds)))
  if found.truncated then
    note("more than could be read: at least so many")
  end
  local _, count = found.stdout:gsub("\n", "")
  return count
end

return systemd
