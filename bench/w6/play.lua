--- Counts the errors of a log by message.
playbook { title = "Errors of a day", params = { window = { type = "window", default = "last 24h" } } }

step("Count", function(p)
  local seen = logs "app":scan {
    window = p.window, timeout = "10m", errors = { match = [["level":"error"]], group = "message", top = 1 },
  }
  local most = seen.errors.groups[1]
  note("answer: %d errors, %d times %s", seen.errors.count, most.count, most.value)
end)
