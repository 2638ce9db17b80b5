--- What a playbook keeps between runs: state():get(key), state "alerts":set(key, value).
local function row(class, verb, params, returns, help)
  return {
    class = class,
    module = "state",
    verb = verb,
    face = "handle",
    nameless = true, -- state() is the playbook's own
    inner = true,
    params = params,
    returns = returns,
    help = help,
  }
end

return {
  ["state.get"] = row("read", "get", { { "key", "string" }, { "default", "any?" } }, "any", "the value kept under a key, or the default"),
  ["state.set"] = row("record", "set", { { "key", "string" }, { "value", "any?" } }, "the value", "keeps a value; nil forgets it"),
  ["state.update"] = row(
    "record",
    "update",
    { { "key", "string" }, { "fn", "function" } },
    "the new value",
    "keeps what fn makes of the value so far; fn is called again when the step ends, and only computes"
  ),
  ["state.before"] = {
    class = "read",
    module = "state",
    verb = "before",
    inner = true,
    face = "handle",
    nameless = true,
    params = { { "name", "string" }, { "opts", "options?" } },
    options = { "over" },
    returns = "{t, value} | nil",
    help = "the value a check had in the last run here, or, with over, in the last run that is at least so long ago",
  },
  ["state.series"] = row(
    "read",
    "series",
    { { "name", "string" } },
    "{{t, value}, …} oldest first",
    "the values a check had in earlier runs here"
  ),
}
