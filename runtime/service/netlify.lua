--- A service that is a site of Netlify, by its REST API. Pure; the contract is in runtime/service/vercel.lua.
---
--- A restart is a build of the production branch as it is now: Netlify has none of the deploy that serves. It carries our
--- key in its title, by which a request that arrived unseen is found. A site is not stopped: nothing documented says
--- whether it is, so nobody could look.
local pages = require "runtime.http.pages"
local releases = require "runtime.service.releases"
local url = require "runtime.http.url"
local netlify = { over = "http", timeout = 900, verbs = { restart = true, release = true } }

--- Pages of a listing that are looked through, at most, and rows of one.
local PAGES, ROWS = 50, 20

local failed = { error = true, rejected = true }
local ready = { ready = true, current = true, processed = true }

local function site_path(settings, rest)
  return "/sites/" .. url.encode(settings.netlify) .. (rest or "")
end

local function is_map(value)
  return type(value) == "table"
end

local function title_of(key)
  return "opsrun " .. key
end

--- Deploys of production, newest first, for as long as `each` does not end it with true.
local function walk(settings, look, rows, each)
  local path, query = site_path(settings, "/deploys"), { production = "true", per_page = rows, page = 1 }
  for _ = 1, PAGES do
    local page = look(path, query)
    for _, deploy in ipairs(page and page.json or {}) do
      if each(deploy) then
        return
      end
    end
    local link = page and pages.link(page.headers.link)
    if not link then
      return
    end
    query = { production = "true", per_page = rows, page = url.decode(link:match "[?&]page=([^&]*)" or "") }
    if query.page == "" then
      return
    end
  end
end

function netlify.called(settings)
  return "Netlify site " .. settings.netlify
end

--- How a build goes that we asked for.
local function add_restart(facts, settings, look, change)
  if not change.before then
    facts.mark = ""
    walk(settings, look, 1, function(deploy)
      facts.mark = deploy.created_at
      return true
    end)
    return
  end
  local ours
  walk(settings, look, ROWS, function(deploy)
    ours = deploy.title == title_of(change.key) and deploy or nil
    return ours or deploy.created_at < change.before.mark
  end)
  if not ours then
    return
  end
  facts.begun = ours.id
  if failed[ours.state] then
    local why = type(ours.error_message) == "string" and ", " .. ours.error_message or ""
    facts.state, facts.detail = "failed", ("deploy %s: %s%s"):format(ours.id, ours.state, why)
  elseif not ready[ours.state] or facts.identity == change.before.identity then -- another one may have overtaken ours
    facts.state = "changing"
    facts.detail = ("deploy %s: %s"):format(ours.id, ready[ours.state] and "ready, not published yet" or ours.state)
  end
end

function netlify.status(settings, look, change)
  local site = look(site_path(settings))
  if not site then
    return { state = "missing", detail = "no such site", running = 0 }
  end
  local published = site:at "published_deploy"
  local facts = { running = 0, state = "inactive", detail = "nothing is published" }
  if is_map(published) then
    facts.identity, facts.release, facts.state, facts.running = published.id, published.id, "active", 1
    facts.detail = ("deploy %s: published"):format(published.id)
    facts.held = published.locked == true and ("deploy %s is locked: no new one is published until it is unlocked"):format(published.id)
      or nil
  end
  if change and change.verb == "restart" then
    add_restart(facts, settings, look, change)
  end
  return facts
end

function netlify.target(settings, look, id)
  local answer = look(site_path(settings, "/deploys/" .. url.encode(id)))
  return answer and { state = ready[answer:need "state"] and "ready" or answer:need "state", created = answer:at "created_at" }
end

function netlify.request(settings, change)
  if change.verb == "restart" then
    return { method = "POST", path = site_path(settings, "/builds"), query = { title = title_of(change.key) } }
  end
  return { method = "POST", path = site_path(settings, ("/deploys/%s/restore"):format(url.encode(change.wanted))) }
end

function netlify.releases(settings, look, limit)
  local site = look(site_path(settings))
  local published = site and site:at "published_deploy"
  local serves, rows = is_map(published) and published.id or nil, {}
  walk(settings, look, ROWS, function(deploy)
    rows[#rows + 1] = {
      id = deploy.id,
      time = releases.time(deploy.created_at),
      state = ready[deploy.state] and "ready" or deploy.state,
      serves = deploy.id == serves,
      commit = type(deploy.commit_ref) == "string" and deploy.commit_ref or nil,
      text = type(deploy.title) == "string" and deploy.title:match "[^\n]*" or nil,
    }
    return #rows == limit
  end)
  return releases.newest(rows, limit)
end

function netlify.advice(settings)
  return ("the deploy's own log, on the page of site %s"):format(settings.netlify)
end

return netlify
