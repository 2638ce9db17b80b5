--- Releases of a service that runs from directories: one directory a release, a link that names the one in use.
--- Pure; for every kind whose settings have `releases` and `current`.
local civil = require "runtime.civil"
local errors = require "runtime.errors"
local releases = {}

--- A name that can stand behind a slash, an image's colon or in a URL's path, and is no option.
---@param id any
---@return boolean
function releases.is_id(id)
  return type(id) == "string" and #id <= 200 and id:find "^%w[%w._:+@-]*$" ~= nil
end

--- Rows as playbooks get them, newest first, at most so many.
---@param rows table[] {id, time, state, serves, commit, text} each; time in seconds since 1970
---@param limit integer
function releases.newest(rows, limit)
  table.sort(rows, function(a, b)
    if a.time ~= b.time then
      return a.time > b.time
    end
    return a.id > b.id
  end)
  for i = #rows, limit + 1, -1 do
    rows[i] = nil
  end
  rows.columns = { "id", "time", "state", "serves", "commit", "text" }
  return rows
end

--- Seconds since 1970 of "2026-11-21T10:20:49.123Z", as providers write it, and of docker's "2026-11-21 10:20:49
--- +0000 UTC"; 0 where it is nothing of the kind.
---@param text any
---@return integer
function releases.time(text)
  local year, month, day, hour, minute, second, rest = tostring(text):match "^(%d+)-(%d+)-(%d+)[T ](%d+):(%d+):(%d+)(.*)$"
  if not year then
    return 0
  end
  local sign, hours, minutes = rest:match "([+-])(%d%d):?(%d%d)"
  local offset = sign and (sign == "-" and -1 or 1) * (tonumber(hours) * 3600 + tonumber(minutes) * 60) or 0
  local seconds = tonumber(hour) * 3600 + tonumber(minute) * 60 + tonumber(second)
  return math.tointeger(civil.days(tonumber(year), tonumber(month), tonumber(day)) * 86400 + seconds - offset)
end

--- The release that the link names, or nil.
---@param look fun(argv: string[], codes: integer[]?): table
function releases.current(settings, look)
  local said = look({ "readlink", "--", settings.current }, { 0, 1 })
  return said.code == 0 and said.text:match "([^/]+)/*$" or nil
end

--- What there is, newest first.
---@param limit integer
function releases.list(settings, look, limit)
  local said = look({ "find", settings.releases, "-mindepth", "1", "-maxdepth", "1", "-type", "d", "-printf", "%T@\\t%f\\n" })
  local current, rows = releases.current(settings, look), {}
  for _, line in ipairs(said:lines()) do
    local time, id = line:match "^([%d.]+)\t(.+)$"
    if id and releases.is_id(id) then
      rows[#rows + 1] = { id = id, time = math.floor(tonumber(time)), state = "ready", serves = id == current }
    end
  end
  return releases.newest(rows, limit)
end

--- Raises when there is no such release.
function releases.need(settings, look, id)
  if look({ "test", "-d", settings.releases .. "/" .. id }, { 0, 1 }).code ~= 0 then
    error(errors.effect {
      message = ("there is no release '%s' in %s"):format(id, settings.releases),
      code = "missing",
      outcome = "not sent",
    }, 0)
  end
end

--- The commands that make the link name another one: at no time does it name none.
function releases.steps(settings, id)
  local aside = settings.current .. ".opsrun"
  return {
    { argv = { "ln", "-sfn", "--", settings.releases .. "/" .. id, aside } },
    { argv = { "mv", "-fT", "--", aside, settings.current } },
  }
end

return releases
