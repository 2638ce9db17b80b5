--- Redis: redis "cache":get(key) and any other command as a method; each command's own class decides
--- whether it is a read or a change.
local opts = { "opts", "options?" }

local function row(class, verb, params, returns, help)
  return {
    class = class,
    module = "redis",
    verb = verb,
    face = "handle",
    params = params,
    returns = returns,
    help = help,
  }
end

local rows = {
  ["redis.call"] = row(
    "change",
    "call",
    { { "command", "string" }, { "...", "any?" }, opts },
    "a read: the reply, nil for none; a change: {reply, count}",
    "any command, also as a method of its own name; reads by the shipped table and the server's, else a change"
  ),
  ["redis.info"] = row(
    "read",
    "info",
    { { "section", "string?" }, opts },
    "{used_memory = 1048576, …}",
    "INFO as a table: numbers are numbers, db0 and the like tables of their own"
  ),
  ["redis.scan"] = row(
    "read",
    "scan",
    { opts },
    "iterator",
    "for key in …:scan {match = …}: all keys in constant memory; `with` pipelines reads of each key"
  ),
  ["redis.pipeline"] = row(
    "change",
    "pipeline",
    { { "commands", "table" }, opts },
    "{reply, …}, false for none",
    "several commands in one write; a read when all of them are"
  ),
}
rows["redis.call"].any_method = true
rows["redis.scan"].pages = true
rows["redis.scan"].options = { "match", "count", "cap", "type", "with" }
return rows
