playbook { title = "Called", params = { n = { type = "integer" } } }
step("Double", function(p) return p.n * 2 end)
