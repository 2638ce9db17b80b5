--- Goes through a table row by row.
playbook { title = "Paid orders", params = { db = { type = "sql", default = "primary" } } }

step("Count", function(p)
  local count, sum = 0, 0
  sql(p.db):each("SELECT id, status, total, made FROM bench_orders", {}, function(row)
    if row.status == "paid" then count, sum = count + 1, sum + row.id end
  end, { timeout = "120s" })
  note("answer: %d paid, sum %d", count, sum)
end)
