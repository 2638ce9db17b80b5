--- Asks many services for their health, many at a time.
playbook {
  title  = "Checks over HTTP",
  params = {
    api    = { type = "http",    default = "checks", help = "where the services are" },
    checks = { type = "integer", default = 500,      help = "how many" },
  },
}

step("Ask them all", function(p)
  local paths = {}
  for n = 1, p.checks do paths[n] = "/services/" .. n .. "/health" end
  local well = each(paths, { limit = 50 }, function(path)
    return http(p.api):get(path):need "status" == "healthy"
  end)
  local count = 0
  for _, healthy in ipairs(well) do count = count + (healthy and 1 or 0) end
  note("answer: %d healthy", count)
end)
