--- A part of nested.lua.
playbook {
  title  = "Part",
  params = {
    tag  = { type = "string", help = "whose these are" },
    part = { type = "string", help = "how its marks begin" },
  },
}

step("A row", function(p)
  sql "primary":exec("INSERT INTO marks (tag, mark) VALUES ($1, $2)", { p.tag, p.part .. "_row" })
end)

step("Held meanwhile", function(p)
  always("let go of " .. p.part, function()
    http "count":put("/switch/" .. p.tag .. "/" .. p.part .. "/off")
  end)
  http "count":put("/switch/" .. p.tag .. "/" .. p.part .. "/on")
  step("Deeper", function()
    http "count":post("/mark/" .. p.tag .. "/" .. p.part .. "_deep", { idempotency = true })
    sql "primary":exec("INSERT INTO marks (tag, mark) VALUES ($1, $2)", { p.tag, p.part .. "_deep_row" })
  end)
  check("a check inside " .. p.part, 3, { above = { warning = 5 } })
end)
