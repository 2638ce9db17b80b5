--- Effects on PostgreSQL: what sql "primary" can do.
local read_options = { "lock_timeout", "exact" }

local function read(verb, returns, help, params)
  return {
    class = "read",
    module = "sql",
    verb = verb,
    face = "handle",
    params = params or { { "text", "string" }, { "values", "list?" }, { "opts", "options?" } },
    options = read_options,
    returns = returns,
    help = help,
  }
end

return {
  ["sql.query"] = read("query", "rows", "proved read; rows by column name, with rows.columns and rows.count"),
  ["sql.one"] = read("one", "row?", "proved read; the first row, or nil"),
  ["sql.value"] = read("value", "any?", "proved read; the first column of the first row, or nil"),
  ["sql.each"] = read("each", "integer", "proved read; hands each row to fn in constant memory; false stops", {
    { "text", "string" },
    { "values", "list?" },
    { "fn", "function" },
    { "opts", "options?" },
  }),
  ["sql.exec"] = {
    class = "change",
    module = "sql",
    verb = "exec",
    face = "handle",
    params = { { "text", "string" }, { "values", "list?" }, { "opts", "options?" } },
    options = { "lock_timeout", "autocommit", "exact" },
    returns = "{count, rows}",
    help = "a change, in a transaction of its own; autocommit = true for what no transaction may hold",
  },
}
