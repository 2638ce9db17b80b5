--- Redis for runbooks: how full it is, what its keys are by prefix, and how to let keys go safely.
-- Looks go through SCAN with questions about each key on the way, never KEYS; they can be capped and
-- paused. What changes does so in batches, each one shown with its count.

local keyspace = {}

--- Keys looked at by a survey, keys of one change, different prefixes that are told apart.
local CAP, BATCH, PREFIXES = 100000, 500, 1000
--- Pages swapped out (4 KB each) that are still no swapping.
local SWAPPED = 1000
--- Names where a key's own cannot stand.
local NO_PREFIX, OTHERS = "(no prefix)", "(others)"

local function percent(part, whole)
  return whole > 0 and math.floor(1000 * part / whole + 0.5) / 10 or 0
end

--- How full a server is, and how it has fared since it started.
---@param cache string the connection's name in the environment
---@return table memory used, peak, max (0: no limit), limit (max, or the host's memory without one),
--- percent (of limit, as the server counts for eviction), rss, policy, fragmentation, evicted, refused
--- (writes answered OOM), hit_percent, clients, blocked, keys, expiring, version (major), config_file
function keyspace.memory(cache)
  local info = redis(cache):info()
  local keys, expiring = 0, 0
  for name, db in pairs(info) do
    if name:find "^db%d+$" then
      keys, expiring = keys + db.keys, expiring + db.expires
    end
  end
  local limit = info.maxmemory > 0 and info.maxmemory or info.total_system_memory
  local refused = info.errorstat_OOM and info.errorstat_OOM.count or 0
  return {
    used = info.used_memory, peak = info.used_memory_peak, max = info.maxmemory, limit = limit,
    percent = percent(info.used_memory - (info.mem_not_counted_for_evict or 0), limit),
    rss = info.used_memory_rss, policy = info.maxmemory_policy, fragmentation = info.mem_fragmentation_ratio,
    evicted = info.evicted_keys, refused = refused,
    hit_percent = percent(info.keyspace_hits, info.keyspace_hits + info.keyspace_misses),
    clients = info.connected_clients, blocked = info.blocked_clients, keys = keys, expiring = expiring,
    version = tonumber(tostring(info.redis_version):match "^%d+"),
    config_file = info.config_file ~= "" and info.config_file or nil,
  }
end

--- Memory of the machine the server runs on, if that is this one; else nil: another machine's numbers
--- would be worse than none. It is this one when the server's process is here, and its memory as large.
---@param cache string
---@param free any? what is free there, a size, when somebody else knows it
---@return table? host total, available (bytes), free_percent; of this machine also swap_used (bytes),
--- swapped_out (pages so far)
function keyspace.host_memory(cache, free)
  local info = redis(cache):info()
  if free then
    return {
      total = info.total_system_memory, available = free.bytes, free_percent = percent(free.bytes, info.total_system_memory),
    }
  end
  local process = try(function() return files.read(("/proc/%d/comm"):format(info.process_id)) end)
  local text = try(function() return files.read("/proc/meminfo") end)
  if not text or not (process or ""):find "^[%w%-]*%-server" then
    return nil
  end
  local facts = {}
  for name, kb in text:gmatch "(%w+):%s+(%d+) kB" do
    facts[name] = tonumber(kb) * 1024
  end
  if facts.MemTotal ~= info.total_system_memory then
    return nil
  end
  local swapped = try(function() return files.read("/proc/vmstat"):match "pswpout (%d+)" end)
  return {
    total = facts.MemTotal, available = facts.MemAvailable,
    free_percent = percent(facts.MemAvailable, facts.MemTotal),
    swap_used = facts.SwapTotal - facts.SwapFree, swapped_out = tonumber(swapped) or 0,
  }
end

--- How much of the host stays free once the server has grown into a larger limit.
---@param memory table of `memory`
---@param machine table? of `host_memory`
---@param target any the limit, a size
---@param least number percent of the host's memory that must stay free
---@return number? percent nil when the limit is not to be raised to that
---@return string? why
function keyspace.room(memory, machine, target, least)
  if memory.max == 0 then
    return nil, "no limit is set"
  elseif target <= memory.max then
    return nil, ("%s is not above the present %s"):format(target, keyspace.size(memory.max))
  elseif not machine then
    return nil, "the free memory of its host is not known"
  end
  local left = percent(machine.available - math.max(target.bytes - memory.used, 0), machine.total)
  if left < least then
    return nil, ("%s %% of the host's memory would stay free, less than %s %%"):format(left, least)
  end
  return left
end

--- Whether nothing went wrong since: no key evicted, no write refused, no memory swapped out to speak of.
---@param cache string
---@param since table of `memory`, earlier
---@param machine table? of `host_memory`, earlier
---@return boolean
function keyspace.is_calm(cache, since, machine)
  local now, there = keyspace.memory(cache), machine and machine.swapped_out and keyspace.host_memory(cache)
  return now.evicted == since.evicted and now.refused == since.refused
    and (not there or there.swapped_out - machine.swapped_out < SWAPPED)
end

--- A key as text that can be shown and kept: bytes that are no UTF-8 as \xNN.
local function printable(key)
  if utf8.len(key) then
    return key
  end
  return (key:gsub("[\128-\255]", function(byte) return ("\\x%02x"):format(byte:byte()) end))
end

--- Keeps the `top` largest of what it is given, largest first.
local function keep_largest(list, row, top)
  if #list >= top and row.bytes <= list[#list].bytes then
    return
  end
  local at = #list + 1
  while at > 1 and list[at - 1].bytes < row.bytes do
    at = at - 1
  end
  table.insert(list, at, row)
  list[top + 1] = nil
end

--- Sampled sums as sums of everything, largest first.
local function estimate(groups, share, bytes)
  for _, group in ipairs(groups) do
    group.percent = percent(group.bytes, bytes)
    for _, field in ipairs { "keys", "bytes", "lasting", "lasting_bytes" } do
      group[field] = math.floor(group[field] / share + 0.5)
    end
  end
  table.sort(groups, function(a, b)
    if a.bytes ~= b.bytes then return a.bytes > b.bytes end
    return a.prefix < b.prefix
  end)
  return groups
end

--- One capped pass over the keys: the biggest ones, keys and bytes by prefix, keys without a TTL.
--- SCAN goes by hash, so the first keys it gives are as good a sample as any; when the cap ends it, sums
--- are estimates of the whole. Bytes are MEMORY USAGE's: estimates too for lists, hashes and their like.
---@param cache string
---@param opts { cap: integer?, count: integer?, match: string?, top: integer?, separator: string?, pause: any? }?
--- cap: keys looked at (100000); count: keys the server looks at a round (1000); top: how many biggest
--- keys (20); separator: a prefix ends with the first one (":"); pause: rest after every 10,000 keys
---@return table survey keys (that there are), sampled, estimated, bytes, by_prefix (rows prefix, keys, bytes,
--- percent, lasting, lasting_bytes; lasting: without a TTL), biggest (rows key, bytes, ttl), lasting
function keyspace.survey(cache, opts)
  opts = opts or {}
  local separator, top = opts.separator or ":", opts.top or 20
  local keys = redis(cache):dbsize()
  local groups, by_name, biggest, sampled, sum, lasting = {}, {}, {}, 0, 0, 0
  local questions = { match = opts.match, count = opts.count, cap = opts.cap or CAP, with = { "ttl", "memory usage" } }
  for key, ttl, bytes in redis(cache):scan(questions) do
    if bytes then      -- else it went away meanwhile
      local ends = select(2, key:find(separator, 1, true))
      local name = ends and printable(key:sub(1, ends)) or NO_PREFIX
      if not by_name[name] then
        name = #groups < PREFIXES and name or OTHERS
      end
      local group = by_name[name]
      if not group then
        group = { prefix = name, keys = 0, bytes = 0, lasting = 0, lasting_bytes = 0 }
        groups[#groups + 1], by_name[name] = group, group
      end
      sampled, sum, group.keys, group.bytes = sampled + 1, sum + bytes, group.keys + 1, group.bytes + bytes
      if ttl == -1 then
        lasting, group.lasting, group.lasting_bytes = lasting + 1, group.lasting + 1, group.lasting_bytes + bytes
      end
      keep_largest(biggest, { key = printable(key), bytes = bytes, ttl = ttl }, top)
      if opts.pause and sampled % 10000 == 0 then
        sleep(opts.pause)
      end
    end
  end
  local estimated = not opts.match and sampled >= questions.cap and sampled < keys
  local share = estimated and sampled / keys or 1
  return {
    keys = keys, sampled = sampled, estimated = estimated, bytes = math.floor(sum / share + 0.5),
    lasting = math.floor(lasting / share + 0.5), by_prefix = estimate(groups, share, sum), biggest = biggest,
  }
end

--- The keys that begin with one of the prefixes, each once, with their sum. Exact, unlike a survey.
---@param cache string
---@param prefixes string[] taken as they are: no sign among them stands for another
---@param opts { lasting: boolean?, count: integer? }? lasting: only keys without a TTL
---@return table keys the names as they are; .bytes, and .rows (key, ttl, bytes) for `show` and `artifact`
function keyspace.find(cache, prefixes, opts)
  opts = opts or {}
  local found, seen = { bytes = 0, rows = { columns = { "key", "ttl", "bytes" } } }, {}
  for _, prefix in ipairs(prefixes) do
    local match = prefix:gsub("[%*%?%[%]%^\\]", "\\%0") .. "*"
    for key, ttl, bytes in redis(cache):scan { match = match, count = opts.count, with = { "ttl", "memory usage" } } do
      if bytes and not seen[key] and (ttl == -1 or not opts.lasting) then
        seen[key], found[#found + 1], found.bytes = true, key, found.bytes + bytes
        found.rows[#found.rows + 1] = { key = printable(key), ttl = ttl, bytes = bytes }
      end
    end
  end
  return found
end

--- The words for a batch: what is done to how many, and where it begins.
local function options(cache, what, slice)
  local summary = ("%s %d key%s on %s: %s …"):format(what, #slice, #slice == 1 and "" or "s", cache, printable(slice[1]))
  return { costs = { keys = #slice }, summary = summary }
end

--- Takes the TTL from keys that `expire` gave one. A batch whose replies were lost goes back as it was listed.
local function persist(cache, sent)
  for _, batch in ipairs(sent) do
    local commands = {}
    for i, key in ipairs(batch.keys) do
      if not batch.replies or batch.replies[i] == 1 then
        commands[#commands + 1] = { "PERSIST", key }
      end
    end
    if #commands > 0 then
      redis(cache):pipeline(commands, { summary = ("take the TTL from %d keys on %s"):format(#commands, cache) })
    end
  end
end

--- Gives keys without a TTL one, in batches. A key that got one since it was listed keeps its own (Redis 7
--- and later). They end spread over a tenth of the time more, lest all are missing at once. The way back
--- (PERSIST of the keys that got it) is registered first.
---@param cache string
---@param keys string[] of `find`
---@param ttl any how long they live on: a parameter of type duration, or seconds
---@return integer count how many got it
function keyspace.expire(cache, keys, ttl)
  local only_if_none = keyspace.memory(cache).version >= 7 and "NX" or nil
  local seconds, sent = math.floor(type(ttl) == "table" and ttl.seconds or ttl), {}
  undo(("take the TTL from the %d keys on %s that got it"):format(#keys, cache), function() persist(cache, sent) end)
  batches(keys, BATCH, function(slice, number)
    local commands = {}
    for i, key in ipairs(slice) do
      local spread = (((number - 1) * BATCH + i) * 7919) % (seconds // 10 + 1)
      commands[i] = { "EXPIRE", key, seconds + spread, only_if_none }
    end
    local batch = { keys = slice }
    sent[number] = batch
    batch.replies = redis(cache):pipeline(commands, options(cache, ("EXPIRE %s:"):format(ttl), slice))
  end)
  -- counted last: in a dry run the first look into a result ends the preview
  local count = 0
  for _, batch in ipairs(sent) do
    for i = 1, #batch.keys do
      count = count + batch.replies[i]
    end
  end
  return count
end

--- Removes keys, in batches; the server frees them beside its work. There is no way back.
---@param cache string
---@param keys string[] of `find`
---@return integer count how many were there and are gone
function keyspace.unlink(cache, keys)
  local results = {}
  batches(keys, BATCH, function(slice, number)
    results[number] = redis(cache):unlink(slice, options(cache, "UNLINK", slice))
  end)
  local count = 0
  for _, result in ipairs(results) do
    count = count + result.count
  end
  return count
end

--- A setting of the server, as CONFIG GET tells it.
---@param cache string
---@param name string
---@return string value
function keyspace.setting(cache, name)
  return redis(cache):call("CONFIG", "GET", name)[name]
end

--- Changes a setting of the running server, with the way back to what it was. The file it starts from
--- stays as it is.
---@param cache string
---@param name string
---@param value any a size is sent as its bytes
---@return table handle of `ensure`
function keyspace.ensure_setting(cache, name, value)
  local wanted = tostring(type(value) == "table" and value.bytes or value)
  local former = keyspace.setting(cache, name)
  return ensure(("%s of %s is %s"):format(name, cache, value), {
    is   = function() return keyspace.setting(cache, name) == wanted end,
    make = function() redis(cache):call("CONFIG", "SET", name, wanted) end,
    back = function() redis(cache):call("CONFIG", "SET", name, former) end,
  })
end

--- Writes the settings as they are into the server's file; there is no way back. Some servers leave the
--- file, passwords in it, open to more readers than before: on this machine that is told.
---@param cache string
---@return table change
function keyspace.rewrite(cache)
  local path = keyspace.host_memory(cache) and keyspace.memory(cache).config_file
  local before = path and files.stat(path)
  local change = redis(cache):call("CONFIG", "REWRITE")
  local after = before and files.stat(path)
  if after and after.mode ~= before.mode then
    note("the server changed the mode of %s from %04o to %04o: is a password in it?", path, before.mode, after.mode)
  end
  return change
end

--- The first of the prefixes whose keys may be among those to keep, whatever the case.
---@param prefixes string[]
---@param keep string[] what their keys begin with
---@return string? prefix, string? kept
function keyspace.clash(prefixes, keep)
  for _, prefix in ipairs(prefixes) do
    for _, kept in ipairs(keep) do
      local shared = math.min(#prefix, #kept)
      if prefix:sub(1, shared):lower() == kept:sub(1, shared):lower() then
        return prefix, kept
      end
    end
  end
  return nil
end

--- Bytes for people.
---@param bytes number
---@return string text such as "64.0 MB"
function keyspace.size(bytes)
  for _, unit in ipairs { "bytes", "KB", "MB", "GB" } do
    if bytes < 1024 or unit == "GB" then
      return unit == "bytes" and ("%d bytes"):format(bytes) or ("%.1f %s"):format(bytes, unit)
    end
    bytes = bytes / 1024
  end
end

return keyspace
