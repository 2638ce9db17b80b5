--- A service that is a project of Vercel, by its REST API. Pure: which requests, and what their answers mean.
---@class opsrun.ServiceProvider
---@field over "http"              it is asked and changed by requests to the http connection `settings.http`
---@field timeout number           seconds that a change may take unless said
---@field verbs table<string, boolean>  what it can be told
---@field called fun(settings): string
---@field advice fun(settings): string
---@field status fun(settings, look, change): table
---@field target fun(settings, look, id): table?     the release `id` as it stands there, {state=, created=}; nil: none
---@field request fun(settings, change, before): table  the one request that makes the change
---@field releases fun(settings, look, limit): table[]  rows, see runtime/service/releases.lua
--- `look(path, query)` is one GET: the answer, or nil for 404; everything else that is not 2xx raises.
--- `change` is what is told, or was: {verb=, wanted=, key=, before=}; `before` are the facts from before it, once known.
--- The facts are those of runtime/service/systemd.lua, and: `mark`, from where on what is new can be found; `held`, why a
--- new deployment would not go live; `begun`, the change arrived, though it is not over.
---
--- A deployment that we ask for carries our key in its `meta`: whether a request arrived whose answer nobody saw is found
--- out by that, whoever else deploys meanwhile.
local releases = require "runtime.service.releases"
local url = require "runtime.http.url"
local vercel = { over = "http", timeout = 900, verbs = { restart = true, stop = true, start = true, release = true } }

--- Pages of a listing that are looked through, at most, and rows of one.
local PAGES, ROWS = 50, 20

local states = { READY = "active", ERROR = "failed", CANCELED = "failed", DELETED = "failed" }
local waiting = { pending = true, ["in-progress"] = true }

--- The query that says for which team, with more.
local function query_of(settings, more)
  local query = more or {}
  if settings.team then
    query[settings.team:find "^team_" and "teamId" or "slug"] = settings.team
  end
  return query
end

local function project_path(settings, version, rest)
  return ("/%s/projects/%s%s"):format(version, url.encode(settings.vercel), rest or "")
end

local function is_map(value)
  return type(value) == "table"
end

--- A text of the JSON, or nil: null is neither.
local function words(value)
  return type(value) == "string" and value or nil
end

--- Deployments of production, newest first, for as long as `each` does not end it with true.
local function walk(settings, look, more, each)
  local before
  for _ = 1, PAGES do
    local query = query_of(settings, { projectId = settings.vercel, target = "production", limit = ROWS, ["until"] = before })
    for name, value in pairs(more) do
      query[name] = value
    end
    local page = look("/v6/deployments", query)
    for _, deployment in ipairs(page and page:need "deployments" or {}) do
      if each(deployment) then
        return
      end
    end
    before = page and page:at "pagination.next"
    if not before then
      return
    end
  end
end

--- The deployment that carries our key, if one does.
local function find_ours(settings, look, change)
  local found
  walk(settings, look, { since = change.before.mark }, function(deployment)
    found = is_map(deployment.meta) and deployment.meta.opsrun == change.key and deployment or nil
    return found ~= nil
  end)
  return found
end

function vercel.called(settings)
  return "Vercel project " .. settings.vercel
end

--- How a redeployment goes that we asked for.
local function add_restart(facts, settings, look, change)
  if not change.before then
    facts.mark = 0
    walk(settings, look, { limit = 1 }, function(deployment)
      facts.mark = deployment.created
      return true
    end)
    return
  end
  local ours = find_ours(settings, look, change)
  if not ours then
    return
  end
  local state = ours.readyState or ours.state
  facts.begun = ours.uid
  if states[state] == "failed" then
    facts.state = "failed"
    local why = words(ours.errorMessage)
    facts.detail = ("deployment %s: %s%s"):format(ours.uid, state, why and ", " .. why or "")
  elseif state ~= "READY" or facts.identity == change.before.identity then -- another one may have overtaken ours
    facts.state = "changing"
    facts.detail = ("deployment %s: %s"):format(ours.uid, state == "READY" and "READY, not serving yet" or state)
  end
end

--- How far a rollback or promotion is. The job's own word counts only when it is newer than ours.
local function add_release(facts, job, change)
  local requested = tonumber(job.requestedAt) or 0
  if not change.before then
    facts.mark = requested
  elseif job.toDeploymentId == change.wanted and requested > change.before.mark and facts.release ~= change.wanted then
    facts.begun = job.toDeploymentId
    facts.state = waiting[job.jobStatus] and "changing" or job.jobStatus == "failed" and "failed" or facts.state
    facts.detail = ("%s to %s: %s"):format(job.type or "release", change.wanted, job.jobStatus)
  end
end

--- What serves: by the project; where a domain is named, by the domain itself.
local function serving_of(settings, look, project)
  local serving = project:at "targets.production"
  if settings.domain then
    local answer = look("/v13/deployments/" .. url.encode(settings.domain), query_of(settings))
    serving = answer and answer.json or nil
  end
  return is_map(serving) and serving or nil
end

function vercel.status(settings, look, change)
  local project = look(project_path(settings, "v9"), query_of(settings))
  if not project then
    return { state = "missing", detail = "no such project", running = 0 }
  end
  local serving = serving_of(settings, look, project)
  local facts = { name = project:need "name", running = 0, state = "inactive", detail = "nothing is deployed" }
  if serving then
    facts.identity, facts.release, facts.created = serving.id, serving.id, serving.createdAt
    facts.state = states[serving.readyState] or "changing"
    facts.detail = ("deployment %s: %s"):format(serving.id, serving.readyState)
  end
  if project:at "paused" == true then
    facts.state, facts.detail = "inactive", "paused"
  end
  facts.running = facts.state == "active" and 1 or 0
  local job = project:at "lastAliasRequest" or {}
  if job.type == "rollback" and job.jobStatus == "succeeded" and job.toDeploymentId == facts.release then
    facts.held = ("it was rolled back to %s: no new deployment goes live until one is promoted"):format(facts.release)
  end
  if change and change.verb == "restart" then
    add_restart(facts, settings, look, change)
  elseif change and change.verb == "release" then
    add_release(facts, job, change)
  end
  return facts
end

function vercel.target(settings, look, id)
  local answer = look("/v13/deployments/" .. url.encode(id), query_of(settings))
  if not answer then
    return nil
  end
  local project = answer:at "projectId"
  if project and settings.vercel:find "^prj_" and project ~= settings.vercel then
    return nil
  end
  return { state = answer:need "readyState" == "READY" and "ready" or answer:need("readyState"):lower(), created = answer:at "createdAt" }
end

--- A release older than the one that serves is a rollback, which keeps the next push from going live; a newer one a
--- promotion, which lets it again.
function vercel.request(settings, change, before)
  if change.verb == "restart" then
    return {
      method = "POST",
      path = "/v13/deployments",
      query = query_of(settings, { forceNew = 1 }),
      json = {
        name = before.name, project = settings.vercel, deploymentId = before.release, target = "production",
        meta = { opsrun = change.key },
      },
    }
  elseif change.verb == "release" then
    local older = before.created and before.target.created and before.target.created < before.created
    return {
      method = "POST",
      path = project_path(settings, older and "v1" or "v10", (older and "/rollback/" or "/promote/") .. url.encode(change.wanted)),
      query = query_of(settings),
    }
  end
  return {
    method = "POST",
    path = project_path(settings, "v1", change.verb == "stop" and "/pause" or "/unpause"),
    query = query_of(settings),
  }
end

--- What a deployment says of the commit it was made from, whichever forge that came from.
local function commit_of(meta, field)
  return words(meta["github" .. field]) or words(meta["gitlab" .. field]) or words(meta["bitbucket" .. field])
end

function vercel.releases(settings, look, limit)
  local project = look(project_path(settings, "v9"), query_of(settings))
  local serving = project and serving_of(settings, look, project) or {}
  local rows = {}
  walk(settings, look, {}, function(deployment)
    local meta = is_map(deployment.meta) and deployment.meta or {}
    local state = deployment.readyState or deployment.state
    local message = commit_of(meta, "CommitMessage")
    rows[#rows + 1] = {
      id = deployment.uid,
      time = deployment.created // 1000,
      state = tostring(state):lower(),
      serves = deployment.uid == serving.id,
      commit = commit_of(meta, "CommitSha"),
      text = message and message:match "[^\n]*" or deployment.url,
    }
    return #rows == limit
  end)
  return releases.newest(rows, limit)
end

function vercel.advice(settings)
  return ("the build's own log: vercel inspect --logs, or the page of project %s"):format(settings.vercel)
end

return vercel
