--- Many small effects, one after the other.
playbook {
  title  = "Many effects",
  params = {
    reads   = { type = "integer", default = 1000, help = "how many PINGs" },
    changes = { type = "integer", default = 0,    help = "how many SETs" },
  },
}

step("Read", function(p)
  local last
  for _ = 1, p.reads do last = redis "cache":ping() end
  note("answer: %s", last)
end)

step("Change", function(p)
  for n = 1, p.changes do redis "cache":set("bench:" .. n, n) end
end)
