--- File systems of this machine: which are its own, which is fullest, which one holds a path. Reads only.

local disks = {}

-- Not on this machine, or no storage at all: nobody here can free anything on them.
local FOREIGN = {
  ["9p"] = true, afs = true, autofs = true, ceph = true, cifs = true, devtmpfs = true, efivarfs = true,
  ["fuse.glusterfs"] = true, ["fuse.sshfs"] = true, glusterfs = true, nfs = true, nfs4 = true, smb3 = true,
}

--- The file system that holds a path: the one mounted nearest above it.
---@param systems table rows of files.filesystems
---@param path string
---@return table? system
function disks.holding(systems, path)
  local found
  for _, system in ipairs(systems) do
    local above = system.mount == "/" and "/" or system.mount .. "/"
    if (path .. "/"):sub(1, #above) == above and (not found or #system.mount > #found.mount) then
      found = system
    end
  end
  return found
end

--- File systems of this machine that can fill up: no network, no image that is full by nature.
---@param ignore string[]? mounts to leave out
---@return table rows as files.filesystems, and label: the mount, "/ with /var" where /var is on it
function disks.own(ignore)
  local left_out, own = {}, { columns = { "mount", "type", "size", "free", "percent", "inodes_percent" } }
  for _, mount in ipairs(ignore or {}) do
    left_out[mount] = true
  end
  local systems = files.filesystems()
  for _, system in ipairs(systems) do
    if not (FOREIGN[system.type] or system.read_only or left_out[system.mount]) then
      system.label = system.mount
      own[#own + 1] = system
    end
  end
  local var = disks.holding(systems, "/var")
  if var and var.label and var.mount ~= "/var" then var.label = var.mount .. " with /var" end
  return own
end

--- How full it is, in percent: a file system without free inodes takes no file either.
---@param system table a row of files.filesystems
---@return number
function disks.fullness(system)
  return math.max(system.percent, system.inodes_percent)
end

--- The file system that holds a path, as it is now, or without a path the fullest one of this machine.
---@param path string?
---@return table system a row of files.filesystems
function disks.look(path)
  if path then return disks.holding(files.filesystems(), path) end
  local fullest
  for _, system in ipairs(disks.own()) do
    if not fullest or disks.fullness(system) > disks.fullness(fullest) then fullest = system end
  end
  return fullest or fail "this machine has no file system of its own that can be written"
end

--- Files that were deleted and still take room, because somebody holds them open: closing them, which mostly
--- means a restart of the holder, frees it.
---@param mount string
---@return table rows pid, command, fd, path, size (bytes), largest first
function disks.deleted(mount)
  local found = { columns = { "pid", "command", "path", "size" } }
  for _, held in ipairs(files.open(mount)) do
    if held.deleted and disks.holding(files.filesystems(), held.path).mount == mount then found[#found + 1] = held end
  end
  table.sort(found, function(a, b)
    if a.size ~= b.size then return a.size > b.size end
    return a.pid < b.pid
  end)
  return found
end

return disks
