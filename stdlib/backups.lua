--- Backups as files: which is the newest. Reads only.

local backups = {}

--- The newest backup, by the time of its last write, not by its name.
---@param where string a directory, or what is looked for in it: "/backups/*.dump"
---@return table entry path, name, size (bytes), age; raises when there is none
function backups.newest(where)
  local dir, pattern = where:match "^(.*)/([^/]*%*[^/]*)$"
  local newest = files.list(dir or where, { pattern = pattern, sort = "newest", limit = 1 })[1]
  return newest or fail("there is no backup: nothing in '%s'", where)
end

return backups
