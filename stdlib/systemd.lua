--- Units of systemd on this host, and what they wrote to the journal. All but `vacuum` read only.
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

--- Of the journal's files those that `vacuum` would remove: archived ones that began before. systemd has the moment
--- in their names.
---@param found table entries of files.list
---@param keep table a duration
---@return table entries, with .count and .disk (bytes) of them all
function systemd.archived(found, keep)
  local old, limit = { count = 0, disk = 0 }, (now() - keep).epoch
  for _, file in ipairs(found) do
    local began = file.name:match "@%x+%-%x+%-(%x+)%.journal$"
    if began and tonumber(began, 16) / 1e6 < limit then
      old[#old + 1] = file
      old.count, old.disk = old.count + 1, old.disk + file.disk
    end
  end
  return old
end

--- What the journal holds from before `keep`, packed, as an artifact of the run: `journalctl --file` reads it once it
--- went through systemd-journal-remote.
---@param dir string
---@param keep table a duration
---@return string path
function systemd.export(dir, keep)
  -- where it is, since a jailed look is shown that
  local command = ("journalctl --directory=. --until=@%d --output=export | gzip"):format((now() - keep).epoch // 1)
  return shell.read(command, { cwd = dir, to = "journal.export.gz", timeout = "10m" }).path
end

--- Removes archived files of the journal that began before `keep`. A change; there is no way back. The playbook's
--- `uses` must allow "journalctl".
---@param dir string
---@param keep table a duration
function systemd.vacuum(dir, keep)
  shell.run({ "journalctl", "--directory=" .. dir, ("--vacuum-time=%ds"):format(math.ceil(keep.seconds)) }, {
    -- removing what is gone removes nothing, and what grew old meanwhile was agreed to by its age
    happened = function()
      return #systemd.archived(files.list(dir, { pattern = "*.journal", recursive = true }), keep) == 0
    end,
  })
end

return systemd
