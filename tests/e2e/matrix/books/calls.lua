--- Calls: requests with and without a key, messages, people's answers, waits.
playbook {
  title  = "Calls",
  params = { tag = { type = "string", help = "whose calls these are" } },
  uses   = { notify = { "team" } },
}

local function mark(p, name, opts)
  return http "count":post("/mark/" .. p.tag .. "/" .. name, opts or {})
end

step("Ask", function(p)
  confirm("Begin with %s?", p.tag)
  mark(p, "m_begin")
  local colour = ask { "Which colour?", options = { "red", "blue" }, id = "colour" }
  mark(p, "m_" .. colour)
  return colour
end)

step("With a key", function(p)
  mark(p, "m_keyed", { idempotency = true })
  confirm { "And the next?", id = "next" }
  mark(p, "m_next")
end)

step("Somebody can say", function(p)
  local function happened()
    return http "count":get("/has/" .. p.tag .. "/m_said").json.has
  end
  mark(p, "m_said", { happened = happened })
  note("said: %s", happened())
end)

step("Side by side", function(p)
  local function branch(name)
    return { name, function()
      mark(p, "m_" .. name .. "_a", { idempotency = true })
      http "count":get("/has/" .. p.tag .. "/x")
      mark(p, "m_" .. name .. "_b", { idempotency = true })
      return name
    end }
  end
  local names = parallel { branch "north", branch "south", branch "west" }
  mark(p, "m_after_" .. table.concat(names, "_"))
end)

step("A refusal that is no failure", function(p)
  local done, why = try(function() return http "count":post("/refuse/" .. p.tag .. "/no", { idempotency = true }) end)
  mark(p, (not done and why) and "m_refused" or "m_refused_wrong")
end)

step("Wait", function(p)
  wait_until("it is ready", { every = "10ms", within = "10s" }, function()
    return http "count":get("/flaky/" .. p.tag .. "/ready").json.ready
  end)
  mark(p, "m_ready")
end)

step("By hand", function(p)
  local by = manual { "Turn the key", required = true, id = "key" }
  mark(p, by.note == "turned" and "m_hand" or "m_hand_wrong")
  choose("Which way?", {
    { "over", "over the hill", function() mark(p, "m_over") end },
    { "under", "under it", function() mark(p, "m_under") end },
  }, { id = "way" })
end)

step("Tell", function(p)
  notify "team" (("done [%s m_told]"):format(p.tag), { severity = "info" })
  mark(p, "m_end")
end)
