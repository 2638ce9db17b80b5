--- What was deployed and committed lately, since what broke often began with it. Reads only.

local health = require "health"

local releases = {}

--- Nobody waits longer for one look.
local SOON = "10s"

local DEPENDENCIES = {
  "package%.json$", "%-lock%.json$", "yarn%.lock$", "pnpm%-lock%.yaml$", "requirements[^/]*%.txt$", "poetry%.lock$",
  "pyproject%.toml$", "Pipfile", "go%.mod$", "go%.sum$", "Cargo%.", "Gemfile", "composer%.",
}
local CONFIGURATION = {
  "%.toml$", "%.ya?ml$", "%.ini$", "%.conf$", "%.cfg$", "%.tf$", "%.service$", "%.env[^/]*$", "Dockerfile", "vercel%.json$",
  "config[^/]*%.json$",
}

--- The last deployments, by what Vercel ({deployments}) or Netlify (a list) answers.
---@param api string a connection of the environment
---@param path string "/v6/deployments?projectId=…", "/api/v1/sites/…/deploys"
---@param count integer
---@return table rows at (time), age (duration), state, commit, what; newest first
function releases.deployed(api, path, count)
  local answer = http(api):get(path, { timeout = SOON })
  local list, rows, moment = answer:at "deployments" or answer.json, { columns = { "age", "state", "commit", "what" } }, now()
  moment = moment - moment.epoch % 1
  for _, item in ipairs(list) do
    local meta, made = item.meta or {}, health.epoch(item.created or item.created_at)
    local at = made and moment - math.max(0, math.floor(moment.epoch - made))
    rows[#rows + 1] = {
      at = at, age = at and moment - at, state = tostring(item.state or item.readyState):lower(),
      commit = tostring(meta.githubCommitSha or item.commit_ref or "-"):sub(1, 8),
      what = meta.githubCommitMessage or item.title or item.name,
    }
  end
  table.sort(rows, function(a, b) return (a.at and a.at.epoch or 0) > (b.at and b.at.epoch or 0) end)
  for i = #rows, count + 1, -1 do rows[i] = nil end
  return rows
end

local function fits(path, patterns)
  for _, pattern in ipairs(patterns) do
    if path:find(pattern) then return true end
  end
  return false
end

--- The last commits of a checkout, and of each the files that configure or that say what is depended on.
---@param repo string where the checkout is
---@param count integer
---@return table rows commit, at, who, what, configuration, dependencies (file names); newest first
function releases.commits(repo, count)
  local text = shell.read({ "git", "-c", "safe.directory=*", "log", "-n", tostring(count), "--name-only",
    "--pretty=format:%x1e%h%x1f%aI%x1f%an%x1f%s" }, { cwd = repo, timeout = SOON }).stdout
  local rows = { columns = { "commit", "at", "who", "what", "configuration", "dependencies" } }
  for entry in text:gmatch "\30([^\30]*)" do
    local commit, at, who, what, names = entry:match "^([^\31]*)\31([^\31]*)\31([^\31]*)\31([^\n]*)\n?(.*)$"
    local configuration, dependencies = {}, {}
    for path in (names or ""):gmatch "[^\n]+" do
      if fits(path, DEPENDENCIES) then
        dependencies[#dependencies + 1] = path
      elseif fits(path, CONFIGURATION) then
        configuration[#configuration + 1] = path
      end
    end
    rows[#rows + 1] = {
      commit = commit, at = at, who = who, what = what,
      configuration = table.concat(configuration, " "), dependencies = table.concat(dependencies, " "),
    }
  end
  return rows
end

return releases
