--- Services of the environment: looked at, restarted, stopped, started, scaled, whatever runs them.
local options = { "host", "settle" }

local function row(verb, help)
  return {
    class = "change",
    module = "service",
    verb = verb,
    face = "handle",
    params = verb == "scale" and { { "count", "number" }, { "opts", "options?" } } or { { "opts", "options?" } },
    options = options,
    returns = "{state, detail, pid, running, hosts}",
    help = help,
  }
end

return {
  ["service.status"] = {
    class = "read",
    module = "service",
    verb = "status",
    face = "handle",
    params = { { "opts", "options?" } },
    options = { "host" },
    returns = "{state, detail, pid, running, hosts}",
    help = "how it is: active, inactive, failed, changing, missing or unknown; the worst of its hosts",
    polled = true,
  },
  ["service.restart"] = row("restart", "restarts it, one host after another, and sees it come up anew"),
  ["service.stop"] = row("stop", "stops it, and sees that it is down"),
  ["service.start"] = row("start", "starts it, and sees it come up"),
  ["service.scale"] = row("scale", "so many of it, and sees them run"),
}
