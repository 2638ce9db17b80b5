--- Commands on another host that count as reads. No jail of ours proves them there, so somebody has to vouch: the
--- environment (`reads` of the host), or this list of commands that only look, whatever options they get.
--- Both are shown as declared. Pure.
local reads = {}

--- Files that tell how a machine, its processes and their limits are, and can be read any number of times.
local facts = {
  "^/proc/cpuinfo$", "^/proc/loadavg$", "^/proc/meminfo$", "^/proc/mounts$", "^/proc/stat$", "^/proc/swaps$", "^/proc/uptime$",
  "^/proc/vmstat$", "^/proc/net/tcp6?$", "^/proc/pressure/%l+$", "^/proc/sys/kernel/hostname$", "^/proc/%d+/cgroup$", "^/proc/%d+/stat$",
  "^/proc/%d+/status$", "^/sys/fs/cgroup/[%w@_.:\\/-]+/memory%.[%w._]+$",
}

local function is_fact(word)
  for _, pattern in ipairs(facts) do
    if word:find(pattern) and not word:find("..", 1, true) then
      return true
    end
  end
  return false
end

--- Word by word; what follows is free, unless it holds one of the words after them, or is to be a fact.
local reviewed = {
  { "cat", only = is_fact },
  { "df", except = { "--sync" } },
  { "du" },
  { "free" },
  { "id" },
  { "nproc" },
  { "ps" },
  { "uname" },
  { "uptime" },
  { "systemctl", "is-active" },
  { "systemctl", "is-enabled" },
  { "systemctl", "is-failed" },
  { "systemctl", "list-timers" },
  { "systemctl", "list-units" },
  { "systemctl", "show" },
  { "systemctl", "status" },
  { "docker", "inspect" },
  { "docker", "ps" },
  { "docker", "stats", "--no-stream" },
}

local function begins_with(argv, prefix)
  for i, word in ipairs(prefix) do
    if argv[i] ~= word then
      return false
    end
  end
  return #prefix > 0
end

local function words_of(text)
  local words = {}
  for word in text:gmatch "%S+" do
    words[#words + 1] = word
  end
  return words
end

local function is_reviewed(argv)
  for _, item in ipairs(reviewed) do
    local found = begins_with(argv, item)
    for _, word in ipairs(item.except or {}) do
      for _, given in ipairs(argv) do
        found = found and given ~= word
      end
    end
    for i = item.only and #item + 1 or #argv + 1, #argv do
      found = found and item.only(argv[i])
    end
    if found then
      return true
    end
  end
  return false
end

local function trimmed(text)
  return (text:gsub("^%s+", ""):gsub("%s+$", ""))
end

--- Is this command, on a host with these declared reads, taken for a read? A text for bash only where exactly this
--- text is declared: what it would do cannot be told from how it begins.
---@param request opsrun.Command
---@param declared string[]? `reads` of the host
---@return boolean
function reads.is_declared(request, declared)
  for _, item in ipairs(declared or {}) do
    if request.script then
      if trimmed(request.script) == trimmed(item) then
        return true
      end
    elseif begins_with(request.argv, words_of(item)) then
      return true
    end
  end
  return not request.script and is_reviewed(request.argv)
end

return reads
