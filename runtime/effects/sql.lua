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
  ["sql.transaction"] = {
    class = "change",
    module = "sql",
    verb = "transaction",
    face = "handle",
    params = { { "fn", "function" }, { "opts", "options?" } },
    options = { "lock_timeout", "isolation" },
    returns = "{value, count, statements}",
    help = "several statements as one change: all of them, or none when fn(tx) raises",
  },
  ["sql.copy_in"] = {
    class = "change",
    module = "sql",
    verb = "copy_in",
    face = "handle",
    params = { { "table", "string|table" }, { "rows", "table|function" }, { "opts", "options?" } },
    options = { "columns", "lock_timeout" },
    returns = "{count}",
    help = "many rows into a table by COPY, in a transaction of its own; a function hands over row after row",
  },
  ["sql.database"] = {
    class = "pure",
    module = "sql",
    verb = "database",
    face = "handle",
    params = { { "database", "string" } },
    returns = "handle",
    help = "the same server and login, another database",
  },
  ["sql.environment"] = {
    class = "read",
    module = "sql",
    verb = "environment",
    face = "handle",
    params = { { "opts", "options?" } },
    returns = "{PGHOST, PGPORT, PGUSER, PGDATABASE, PGPASSWORD, …}",
    help = "variables for pg_dump, pg_restore, psql: shell.run(…, {env = …}); the password is a secret",
  },
  ["sql.format"] = {
    class = "pure",
    module = "sql",
    verb = "format",
    face = "library",
    params = { { "text", "string" }, { "...", "any?" } },
    returns = "text",
    help = "%I an identifier, %L a literal, %s text as it is, %% a percent sign; each quoted as PostgreSQL does",
  },
}
