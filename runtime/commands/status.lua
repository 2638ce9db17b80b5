--- opsrun status: runs that are not over: running, interrupted, in doubt, with pending ways back.
local history = require "runtime.history"

--- Runs of these states are shown, and others that left something to take back.
local listed = { running = true, suspended = true, interrupted = true, ["in doubt"] = true }

--- What a run waits for, and what to type: "waits for gate 'x': Terminate 61 sessions?"
local function waits_for(summary)
  local wait = summary.waits
  if not wait then
    return nil
  elseif wait.type == "time.wait" then
    return ("waits until %s"):format(wait["until"]), ("opsrun resume %s"):format(summary.run)
  elseif summary.answered then
    return ("gate '%s' was answered '%s' by %s"):format(wait.gate, summary.answered.value, summary.answered.by),
      ("opsrun resume %s"):format(summary.run)
  end
  return ("waits for gate '%s': %s"):format(wait.gate, wait.text),
    ("opsrun answer %s %s=%s"):format(summary.run, wait.gate, wait.expects or "yes")
end

---@param services {host: table, options: table}
---@return integer exit code
return function(services)
  local host = services.host
  local count = 0
  for _, summary in ipairs(history.all()) do
    local open = listed[summary.state] or summary.problem ~= nil
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
        local what, command = waits_for(summary)
        if summary.state == "suspended" and what then
          host.term.out(("    %s\n"):format(what), "yellow")
        elseif summary.state == "running" and summary.now then
          host.term.out(("    %s\n"):format(summary.now))
        elseif summary.error and #summary.in_doubt == 0 then
          host.term.out(("    %s\n"):format(summary.error))
        end
        for _, text in ipairs(summary.in_doubt) do
          host.term.out(("    in doubt: %s\n"):format(text), "yellow")
        end
        for _, text in ipairs(summary.pending) do
          host.term.out(("    not undone: %s\n"):format(text), "yellow")
        end
        if summary.state ~= "running" and not summary.problem then
          host.term.out(("    %s\n"):format(summary.state == "suspended" and command or "opsrun resume " .. summary.run), "dim")
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
