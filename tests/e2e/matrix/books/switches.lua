--- Switches: everything that is switched on is off at the end, whatever happened meanwhile.
playbook {
  title  = "Switches",
  params = { tag = { type = "string", help = "whose switches these are" } },
}

local function turn(p, name, on)
  return http "count":put("/switch/" .. p.tag .. "/" .. name .. (on and "/on" or "/off"))
end

local function is_on(p, name)
  return http "count":get("/switch/" .. p.tag .. "/" .. name).json.on
end

local function held(p, name, lasts)
  return ensure(name .. " is on", {
    is = function() return is_on(p, name) end,
    make = function() turn(p, name, true) end,
    back = function() turn(p, name, false) end,
    lasts = lasts,
  })
end

local function mark(p, name)
  return sql "primary":exec("INSERT INTO marks (tag, mark) VALUES ($1, $2)", { p.tag, name })
end

step("Hold the door", function(p)
  held(p, "door", "run")
  mark(p, "m_door")
end)

step("Light, and a window at the very end", function(p)
  always("shut the window", function()
    turn(p, "window", false)
    mark(p, "m_shut")
  end)
  turn(p, "window", true)
  local light = held(p, "light", "success")
  mark(p, "m_light")
  light.back()
  mark(p, "m_dark")
end)

step("An attempt that fails is taken back", function(p)
  local ok = attempt(function()
    undo("stop the pump", function()
      mark(p, "m_stopped")
      turn(p, "pump", false)
    end)
    turn(p, "pump", true)
    mark(p, "m_pumped")
    fail "the pipe is shut"
  end)
  mark(p, ok and "m_pump_wrong" or "m_pump")
end)

step("What may stay", function(p)
  undo("take the sign down", function() turn(p, "sign", false) end)
  turn(p, "sign", true)
  mark(p, "m_sign")
  settle()
end)

step("Inside", function(p)
  step("The gate", function()
    held(p, "gate", "run")
    mark(p, "m_gate")
  end)
  mark(p, "m_inside")
end)
