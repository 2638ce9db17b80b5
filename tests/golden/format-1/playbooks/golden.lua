--- What a run of journal format 1 can hold, for the test that it can be replayed for ever.
playbook {
  title = "Golden",
  params = { room = { type = "path", default = "/srv/opsrun-golden" }, wait = { type = "duration", default = "90s" } },
  uses = { files = { "/srv/opsrun-golden" }, shell = { "sh" } },
  calls = { "called.lua" },
}

local found = step("Look", function(p)
  check("answer", 42, { unit = "apples", above = { warning = 40 } })
  show({ { name = "a", size = 1 }, { name = "b", size = 2 } }, { title = "things" })
  return { list = files.list(p.room, { pattern = "*.txt" }), wait = p.wait, at = now(), chance = math.random(1, 6) }
end)

step("Change", { retry = { times = 2, after = "10ms" } }, function(p)
  local before = found()
  always("say bye", function() files.append(p.room .. "/log", "bye\n") end)
  undo("take the log away", function() files.remove(p.room .. "/log") end)
  files.append(p.room .. "/log", ("waits %s, %d files\n"):format(before.wait, #before.list))
  local ok, why = try(function() return files.read(p.room .. "/absent") end)
  note("read: %s, %s", ok, why ~= nil)
end)

group("Side by side", { together = true }, function()
  step("Left", function(p) files.append(p.room .. "/log", "left\n") end)
  step("Right", function()
    local answers = each({ 1, 2, 3 }, function(n) return shell.read({ "echo", tostring(n) }).text end)
    show(table.concat(answers, ","))
  end)
end)

step("Skipped", { when = "critical" }, function() fail("never") end)

step("Ask", function() confirm("Go on with %d apples?", 42) end)

step("Call", function()
  local called = call("called.lua", { n = 3 })
  note("it returned %s", called.result)
  step("Inside", function(p)
    ensure("the flag is up", {
      is = function() return try(function() return files.stat(p.room .. "/flag") end) ~= nil end,
      make = function() files.write(p.room .. "/flag", "up") end,
      back = function() files.remove(p.room .. "/flag") end,
    })
  end)
end)

step("Wait", function(p)
  wait_until("the flag is there", { every = "10ms", within = "5s" }, function() return files.stat(p.room .. "/flag") end)
  state():update("plays", function(n) return (n or 0) + 1 end)
end)

step("Fail", { fresh = "1h" }, function() fail("as it should: %s", found().at:format "%Y") end)
