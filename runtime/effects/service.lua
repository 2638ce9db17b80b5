--- Services of the environment: looked at, restarted, stopped, started, scaled, whatever runs them.
local options = { "host", "settle" }
local returns = "{state, detail, pid, running, release, hosts}"

local takes = { scale = { "count", "number" }, release = { "id", "string" } }

local function row(verb, help)
  return {
    class = "change",
    module = "service",
    verb = verb,
    face = "handle",
    params = takes[verb] and { takes[verb], { "opts", "options?" } } or { { "opts", "options?" } },
    options = options,
    returns = returns,
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
    returns = returns,
    help = "how it is: active, inactive, failed, changing, missing or unknown; the worst of its hosts",
    polled = true,
  },
  ["service.releases"] = {
    class = "read",
    module = "service",
    verb = "releases",
    face = "handle",
    params = { { "opts", "options?" } },
    options = { "host", "limit" },
    returns = "rows",
    help = "what it could serve, newest first: deployments, images, directories",
  },
  ["service.release"] = row("release", "makes a release it already has the one that serves, and sees it serve"),
  ["service.restart"] = row("restart", "restarts it, one host after another, and sees it come up anew"),
  ["service.stop"] = row("stop", "stops it, and sees that it is down"),
  ["service.start"] = row("start", "starts it, and sees it come up"),
  ["service.scale"] = row("scale", "so many of it, and sees them run"),
}
