--- Page after page of a listing: where the next one is, by the Link header, a field of the JSON, a cursor
--- or a number. Pure; every page is asked for as a read of its own. What a server says never leads
--- to another origin.
local errors = require "runtime.errors"
local text = require "runtime.text"
local url = require "runtime.http.url"
local pages = {}

local LIMIT = 1000

--- Options of pages that are handed on to each read.
local handed_on = { "headers", "expect", "retries", "follow", "timeout" }

local forms = 'one of: next = "meta.next", { cursor = "meta.cursor", as = "cursor" }, { page = "page", from = 1 }'

--- The target of rel="next" in a Link header.
function pages.link(header)
  for target, parameters in (header or ""):gmatch "<([^>]*)>([^<]*)" do
    for name, value in parameters:gmatch ';%s*(%w+)%s*=%s*"?([^";,]*)' do
      if name:lower() == "rel" and (" " .. value:lower() .. " "):find(" next ", 1, true) then
        return target
      end
    end
  end
end

--- Where a link of the page at `from` leads, as a whole URL of the same origin.
---@param from string the page's own URL
---@param link string
---@return string? target
---@return string? why not
function pages.resolve(from, link)
  local base = url.parse(from)
  local path = base.path:match "^[^?]*"
  if link:find "^//" then
    link = from:match "^%a+:" .. link
  elseif link:find "^%?" then
    link = base.origin .. path .. link
  elseif link:find "^/" then
    link = base.origin .. link
  elseif not link:find "^%a[%w+.-]*:" then
    link = base.origin .. path:match "^.*/" .. link
  end
  local parts, why = url.parse(link)
  if not parts then
    return nil, why
  elseif parts.origin ~= base.origin then
    return nil, ("it leads to '%s'"):format(parts.origin)
  end
  return parts.origin .. parts.path
end

local function read_next(given)
  if given == nil then
    return { kind = "header" }
  elseif type(given) == "string" and given ~= "" then
    return { kind = "link", path = given }
  elseif type(given) ~= "table" then
    return nil
  elseif type(given.cursor) == "string" and type(given.as) == "string" then
    return { kind = "cursor", path = given.cursor, as = given.as }
  elseif type(given.page) == "string" then
    local from, step = given.from or 1, given.step or 1
    if math.type(from) == "integer" and math.type(step) == "integer" and step > 0 then
      return { kind = "number", as = given.page, at = from, step = step }
    end
  end
end

local function raise(message, fields)
  fields.message = message
  error(errors[fields.kind](fields), 0)
end

--- The list on a page; nil without `items`, unless the whole body is a list.
local function items_of(answer, path)
  local list
  if path then
    list = answer:need(path)
  elseif (answer.headers["content-type"] or ""):find "json" and type(answer.json) == "table" then
    list = (#answer.json > 0 or next(answer.json) == nil) and answer.json or nil
  end
  if path and type(list) ~= "table" then
    raise(("'%s' of %s is no list"):format(path, answer.url), { kind = "effect", code = "no list", outcome = "done" })
  end
  return list
end

local function with_query(query, name, value)
  local copy = {}
  for key, item in pairs(query or {}) do
    copy[key] = item
  end
  copy[name] = value
  return copy
end

--- What the next read is asked for, from the page just read: {path, query}, or nil at the end.
local function following(state, answer)
  local how = state.next
  if how.kind == "number" then
    how.at = how.at + how.step
    return #answer.items > 0 and { state.path, with_query(state.query, how.as, how.at) } or nil
  end
  local value
  if how.kind == "header" then
    value = pages.link(answer.headers.link)
  else
    value = answer:at(how.path)
  end
  if value == nil or value == false or value == "" then
    return nil
  elseif type(value) == "table" then
    raise(("'%s' of %s is no link"):format(how.path, answer.url), { kind = "effect", code = "no link", outcome = "done" })
  elseif how.kind == "cursor" then
    return { state.path, with_query(state.query, how.as, value) }
  end
  local target, why = pages.resolve(answer.url, tostring(value))
  if not target then
    raise(("the next page after %s is not asked for: %s"):format(answer.url, why), {
      kind = "refused",
      hint = "only pages of the same origin are followed",
    })
  end
  return { target }
end

--- Begins a listing. Returns what asks and takes, one page after the other, or nil and what is wrong.
---@param name string? the connection
---@param path string
---@param opts table
---@return {ask: fun(): table?, take: fun(answer: table): table}?
---@return string? why
function pages.open(name, path, opts)
  local state = { path = path, query = opts.query, next = read_next(opts.next) }
  local limit = opts.limit or LIMIT
  if not state.next then
    return nil, "option 'next' is " .. forms
  elseif math.type(limit) ~= "integer" or limit < 1 then
    return nil, "option 'limit': expected a number of pages"
  elseif opts.items ~= nil and type(opts.items) ~= "string" then
    return nil, "option 'items': expected where the list is, such as 'data.items'"
  elseif state.next.kind == "number" and opts.items == nil then
    return nil, "option 'next': numbered pages end with an empty list: say where it is, items = \"data\""
  end
  local count, seen = 0, {}
  local wanted = { path, state.query }
  if state.next.kind == "number" then
    wanted[2] = with_query(state.query, state.next.as, state.next.at)
  end
  local stepper = {}

  function stepper.ask()
    if not wanted then
      return nil
    elseif count == limit then
      raise(("the listing has more than %s"):format(text.plural(limit, "page")), {
        kind = "effect", code = "too many pages", outcome = "done", hint = "limit = … allows more",
      })
    end
    local call = { name = name, wanted[1], opts = { query = wanted[2] } }
    for _, option in ipairs(handed_on) do
      call.opts[option] = opts[option]
    end
    return call
  end

  function stepper.take(answer)
    count = count + 1
    if seen[answer.url] then
      raise(("the listing leads back to %s"):format(answer.url), { kind = "effect", code = "loop", outcome = "done" })
    end
    seen[answer.url] = true
    rawset(answer, "number", count)
    rawset(answer, "items", items_of(answer, opts.items))
    wanted = following(state, answer)
    return answer
  end

  return stepper
end

return pages
