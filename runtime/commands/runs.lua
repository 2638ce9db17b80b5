--- opsrun runs: what was played, newest first, and what is left of it.
local history = require "runtime.history"
local journal = require "runtime.journal"
local table_text = require "runtime.table_text"

---@param services {host: table, options: table}
---@return integer exit code
return function(services)
  local host = services.host
  table_text.open(host.term.display_width, host.term.shown)
  local rows = { columns = { "run", "started", "mode", "environment", "operator", "state", "code", "changes" } }
  for _, summary in ipairs(history.all()) do
    rows[#rows + 1] = summary
  end
  if services.options.flags.json then
    for _, row in ipairs(rows) do
      host.term.out(host.json.encode(row) .. "\n")
    end
    return 0
  end
  if #rows == 0 then
    host.term.out(("no runs yet in %s\n"):format(journal.home()))
    return 0
  end
  local width = host.term.is_terminal() and host.term.width() or nil
  for _, line in ipairs(table_text.rows(rows, nil, width)) do
    host.term.out(line .. "\n")
  end
  return 0
end
