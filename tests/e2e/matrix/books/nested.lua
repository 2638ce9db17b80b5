--- Nested: another playbook's steps inside these, twice, and an end before the last step.
playbook {
  title  = "Nested",
  params = { tag = { type = "string", help = "whose these are" } },
  calls  = { "part.lua" },
}

step("Before", function(p)
  sql "primary":exec("INSERT INTO marks (tag, mark) VALUES ($1, 'm_before')", { p.tag })
end)

local first = step("The first part", function(p)
  return call("part.lua", { tag = p.tag, part = "m_first" }).status
end)

step("The second part, between two rows", { when = function() return first() == "done" end }, function(p)
  sql "primary":exec("INSERT INTO marks (tag, mark) VALUES ($1, 'm_between_a')", { p.tag })
  local answer = call("part.lua", { tag = p.tag, part = "m_second" })
  sql "primary":exec("INSERT INTO marks (tag, mark) VALUES ($1, $2)",
    { p.tag, answer.status == "done" and "m_between_b" or "m_between_wrong" })
end)

group("Two at a time", { together = true }, function()
  step("A row and a key", function(p)
    sql "primary":exec("INSERT INTO marks (tag, mark) VALUES ($1, 'm_pair')", { p.tag })
    redis "cache":set("matrix:" .. p.tag .. ":pair", "1")
  end)
  step("A call", function(p)
    http "count":post("/mark/" .. p.tag .. "/m_call", { idempotency = true })
    return 7
  end)
end)

step("Enough", function(p)
  http "count":post("/mark/" .. p.tag .. "/m_enough")
  finish "nothing more to do"
end)

step("Never", function(p)
  http "count":post("/mark/" .. p.tag .. "/m_never")
end)
