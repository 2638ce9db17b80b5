--- Ways: everything that is switched on registers how it is switched off first.
playbook {
  title  = "Ways",
  params = { tag = { type = "string", help = "whose switches these are" } },
}

local function turn(p, name, on)
  return http "count":put("/switch/" .. p.tag .. "/" .. name .. (on and "/on" or "/off"))
end

local function mark(p, name)
  return sql "primary":exec("INSERT INTO marks (tag, mark) VALUES ($1, $2)", { p.tag, name })
end

local function switched(p, name)
  undo(name, function() turn(p, name, false) end)
  turn(p, name, true)
end

step("One", function(p)
  switched(p, "one")
end)

step("Two and three", function(p)
  step("Two", function() switched(p, "two") end)
  switched(p, "three")
end)

step("Side by side", function(p)
  parallel {
    { "four", function() switched(p, "four") end },
    { "five", function() switched(p, "five") end },
  }
end)

step("A row", function(p)
  undo("m_row", function() mark(p, "m_row_off") end)
  mark(p, "m_row_on")
  local kept = attempt(function()
    switched(p, "tried")
    fail "no"
  end)
  mark(p, kept and "m_wrong" or "m_tried_off")
end)

step("A window", function(p)
  always("window", function() turn(p, "window", false) end)
  turn(p, "window", true)
  switched(p, "six")
end)
