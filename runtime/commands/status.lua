--- opsrun status: runs that are not over: running, interrupted, in doubt, with pending ways back.
local history = require "runtime.history"

---@param services {host: table, options: table}
---@return integer exit code
return function(services)
  local host = services.host
  local count = 0
  for _, summary in ipairs(history.all()) do
    local open = summary.state == "running" or summary.state == "interrupted" or summary.state == "in doubt"
      or summary.problem ~= nil
    if open or #summary.pending > 0 then
      count = count + 1
      if services.options.flags.json then
        host.term.out(host.json.encode(summary) .. "\n")
      else
        host.term.out(("%s  %s"):format(summary.run, summary.state), "bold")
        if summary.problem then
          host.term.out(("\n    %s\n"):format(summary.problem), "yellow")
        else
          host.term.out(("  %s on %s since %s\n"):format(summary.playbook, summary.environment, summary.started))
        end
        if summary.at then
          host.term.out(("    at step %s\n"):format(summary.at))
        end
        for _, text in ipairs(summary.in_doubt) do
          host.term.out(("    in doubt: %s\n"):format(text), "yellow")
        end
        for _, text in ipairs(summary.pending) do
          host.term.out(("    not undone: %s\n"):format(text), "yellow")
        end
        host.term.out(("    opsrun log %s\n"):format(summary.run), "dim")
      end
    end
  end
  if count == 0 and not services.options.flags.json then
    host.term.out "nothing is running, and no run left anything behind\n"
  end
  return 0
end
