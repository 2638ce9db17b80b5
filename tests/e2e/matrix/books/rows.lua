--- Rows: every way to change a database, one after another, side by side, and inside each other.
playbook {
  title  = "Rows",
  params = { tag = { type = "string", help = "whose rows these are" } },
}

local function insert(p, mark)
  return sql "primary":exec("INSERT INTO marks (tag, mark) VALUES ($1, $2)", { p.tag, mark })
end

local before = step("Count what is there", function(p)
  return sql "primary":value("SELECT count(*) FROM marks WHERE tag = $1", { p.tag })
end)

step("One row", function(p)
  note("%d rows before", before())
  insert(p, "m_one")
end)

step("Two in one transaction", function(p)
  sql "primary":transaction(function(tx)
    tx:exec("INSERT INTO marks (tag, mark) VALUES ($1, 'm_tx_a')", { p.tag })
    local seen = tx:value("SELECT count(*) FROM marks WHERE tag = $1", { p.tag })
    tx:exec("INSERT INTO marks (tag, mark) VALUES ($1, $2)", { p.tag, seen > 0 and "m_tx_b" or "m_tx_wrong" })
  end)
end)

step("Many at once", function(p)
  sql "primary":copy_in("marks", { { tag = p.tag, mark = "m_copy_a" }, { tag = p.tag, mark = "m_copy_b" } })
end)

step("One for each", function(p)
  each({ "m_each_a", "m_each_b", "m_each_c" }, { limit = 2 }, function(mark)
    insert(p, mark)
    return sql "primary":value("SELECT count(*) FROM marks WHERE tag = $1 AND mark = $2", { p.tag, mark })
  end)
end)

group("Side by side", { together = true }, function()
  step("Left", function(p)
    insert(p, "m_left_a")
    insert(p, "m_left_b")
  end)
  step("Right", function(p) insert(p, "m_right") end)
end)

local outer = step("Around", function(p)
  insert(p, "m_around_a")
  local inner = step("Within", function()
    insert(p, "m_within_a")
    insert(p, "m_within_b")
    return sql "primary":value("SELECT count(*) FROM marks WHERE tag = $1", { p.tag })
  end)
  insert(p, inner() == 14 and "m_around_b" or "m_around_wrong")
  return inner()
end)

step("Not at the first try", { retry = { times = 3, after = "20ms" } }, function(p)
  http "count":get("/flaky/" .. p.tag .. "/try")
  insert(p, "m_try")
end)

step("Look", function(p)
  check("rows", sql "primary":value("SELECT count(*) FROM marks WHERE tag = $1", { p.tag }), { expect = 16 })
  check("rows within", outer(), { expect = 14 })
  local series = state():update("runs", function(n) return (n or 0) + 1 end)
  note("%d runs", series)
end)
