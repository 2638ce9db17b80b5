--- Whether a PostgreSQL server can be reached, and if not, why: what a login gets for an answer, what the application
--- says, what the server's own log and its disk say. Reads only; that nobody answers is an answer here, no failure.

local disks = require "disks"

local reach = {}

--- Nobody waits longer for one look.
local SOON = "10s"

--- What the code of a failed look means. Whatever else fails: somebody is there, and does not answer.
local MEANS = {
  refused = "down", resolve = "no way", timeout = "no way", url = "no way",
  ["57P03"] = "starting", ["53300"] = "full", ["3D000"] = "gone",
  tls = "denied", ["28P01"] = "denied", ["28000"] = "denied",
}

--- In words, and what follows from it.
reach.WORDS = {
  answers  = "it answers",
  down     = "nobody listens there: the server is not running",
  starting = "it is starting up or shutting down: a restart now would begin its recovery anew",
  full     = "it runs, and not one connection is left",
  gone     = "it runs, and the database is not there: that is for recovery/restore-database.lua",
  denied   = "it runs, and refuses this login",
  silent   = "it runs, and does not answer",
  ["no way"] = "nothing comes back: the machine, or the way to it",
}

local function look(db)
  local row, why, code = try(function()
    return sql(db):one("SELECT pg_is_in_recovery() AS standby", nil, { timeout = SOON })
  end)
  if row then return { state = "answers", standby = row.standby } end
  return { state = MEANS[code] or "silent", why = why }
end

--- How a server answers. One failed look is none: it is looked at again after `pause`, until `times` are used up.
---@param db string the connection's name in the environment
---@param times integer? 1
---@param pause any? a duration
---@return table seen state (a word of WORDS), standby (true: it is in recovery and takes no writes), why (text)
function reach.look(db, times, pause)
  local seen = look(db)
  for _ = 2, times or 1 do
    if seen.state == "answers" then break end
    sleep(pause)
    seen = look(db)
  end
  return seen
end

--- Whether the application says that it has its database. That the application does not answer is a no.
---@param api string the connection's name in the environment
---@param path string where it gives its status
---@param at string where the word stands: "services.database"
---@param expect string "connected"
---@return boolean well, string said
function reach.app(api, path, at, expect)
  local answer, why = try(function() return http(api):get(path, { timeout = SOON, expect = "any" }) end)
  if not answer then return false, why end
  local word = try(function() return answer:at(at) end)
  return word == expect, tostring(word or ("it answers %d, and says nothing at %s"):format(answer.status, at))
end

-- its log -----------------------------------------------------------------------------------------------

--- Messages that data are damaged; what a crash leaves at the end of the log of writes is none of them.
local DAMAGE = "invalid page in block|page verification failed|could not read block|could not locate (a valid|required) checkpoint"
  .. "|invalid (primary )?checkpoint record|could not find redo location|database files are incompatible"
  .. "|could not access status of transaction"

--- What is no client's doing, and not only that nobody may come in yet.
local ENDS = "^(?!.*(the database system is|password|pg_hba|too many clients|connection slots|does not exist|cancel|due to (idle|admin)))"
  .. ".*(PANIC|FATAL|terminated by signal|No space left|out of memory|" .. DAMAGE .. ")"

--- What a server's log says of the end of the server, and its last lines. The messages are known in English only.
---@param log string the logs' name in the environment
---@param window any as of logs: "last 24h", time.window(from, to)
---@param lines integer? so many last ones are kept
---@param name string? of the artifact they are kept in; what the log says of the end is noted then
---@return table said damage, room, memory, killed (numbers of messages)
function reach.log(log, window, lines, name)
  local found = logs(log):scan {
    window = window,
    damage = { regex = DAMAGE }, room = { match = "No space left on device" },
    memory = { match = "out of memory" }, killed = { regex = "was terminated by signal (9|11)" },
    ends = { regex = ENDS, tail = 1 }, last = { regex = ".", tail = lines or 1 },
  }
  if name then
    artifact(name, table.concat(found.last.tail, "\n") .. "\n")
    note("it said: %s", found.ends.tail[1] or found.last.tail[#found.last.tail] or "nothing")
  end
  return { damage = found.damage.count, room = found.room.count, memory = found.memory.count, killed = found.killed.count }
end

-- its machine -------------------------------------------------------------------------------------------

local function disk(dir, host)
  if not host then
    local system = disks.look(dir) or fail("'%s' is on no file system of this machine", dir)
    return { mount = system.mount, percent = disks.fullness(system) }
  end
  local function percent(...)
    local line = shell.read({ "df", "-P", ... }, { host = host, timeout = SOON }):lines()[2] or ""
    local used, mount = line:match "(%d+)%%%s+(.*)$"
    return tonumber(used) or 0, mount
  end
  local room, mount = percent(dir)
  return { mount = mount or dir, percent = math.max(room, (percent("-i", dir))) }
end

--- The file systems that hold a server's files, each once.
---@param dirs string[]
---@param host string? the machine, as named in the environment; without it: this one
---@return table rows mount, percent (the fuller of room and inodes)
function reach.disks(dirs, host)
  local rows, known = { columns = { "mount", "percent" } }, {}
  for _, dir in ipairs(dirs) do
    local row = disk(dir, host)
    if not known[row.mount] then
      rows[#rows + 1], known[row.mount] = row, true
    end
  end
  return rows
end

-- others ------------------------------------------------------------------------------------------------

--- What a provider's page of status says, as Statuspage and its like do: `status.indicator` is "none" while all is well.
---@param page string the http connection's name in the environment
---@param path string
---@return string? indicator nil when the page does not answer, which is noted
function reach.provider(page, path)
  local answer, why = try(function() return http(page):get(path, { timeout = SOON }) end)
  if not answer then note("the page does not answer: %s", why) end
  return answer and answer:at "status.indicator"
end

--- Has a person fail over to a replica, after the server's name was typed: what that takes is each place's own.
---@param db string
function reach.fail_over(db)
  confirm { "Fail over from %s? What it had not sent to its replica is lost", db, type = db, id = "fail-over" }
  manual { "Fail over by hand", required = true, id = "failed-over", items = { "the old server cannot start again",
    "SELECT pg_promote() ran on the replica", "environment and clients name the replica" } }
end

return reach
