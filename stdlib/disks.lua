--- File systems of this machine: which are its own, and which one holds a path. Reads only.

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

return disks
