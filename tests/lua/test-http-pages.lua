--- Listings: where the next page is, and where a server may not lead.
local t = require "harness"
local errors = require "runtime.errors"
local pages = require "runtime.http.pages"
local response = require "runtime.http.response"

local json = { null = setmetatable({}, { __name = "null" }) }

--- An answer for the call: its JSON and headers as given.
local function answer(url, value, link)
  local made = { status = 200, url = url, body = "", headers = { link = link, ["content-type"] = "application/json" }, json = value }
  return response.new(made, "GET " .. url, json)
end

--- Plays a listing: serve(call) -> answer. Returns the pages, the calls and the error.
local function play(opts, serve, name, path)
  local stepper = assert(pages.open(name, path or "/items", opts))
  local list, calls = {}, {}
  local ok, err = pcall(function()
    while true do
      local call = stepper.ask()
      if not call then
        return
      end
      calls[#calls + 1] = call
      list[#list + 1] = stepper.take(serve(call))
    end
  end)
  return list, calls, not ok and errors.wrap(err) or nil
end

local function asked(calls)
  local texts = {}
  for i, call in ipairs(calls) do
    local query = {}
    for name, value in pairs(call.opts.query or {}) do
      query[#query + 1] = name .. "=" .. tostring(value)
    end
    table.sort(query)
    texts[i] = call[1] .. (#query > 0 and "?" .. table.concat(query, "&") or "")
  end
  return texts
end

t.test("the Link header's rel next is followed, however it is written", function()
  t.equal(pages.link '<https://a/x?page=2>; rel="next", <https://a/x?page=9>; rel="last"', "https://a/x?page=2")
  t.equal(pages.link '<https://a/1>; rel=prev, <https://a/3,4>; title="x"; REL=Next', "https://a/3,4")
  t.equal(pages.link '<https://a/1>; rel="first next"', "https://a/1")
  t.equal(pages.link '<https://a/1>; rel="nextish"', nil)
  t.equal(pages.link(nil), nil)
  local list, calls = play({ query = { size = 2 } }, function(call)
    local second = call[1]:find "page=2"
    return answer(second and "https://h/b/items?page=2" or "https://h/b/items?size=2", { 1, 2 },
      not second and '</b/items?page=2>; rel="next"' or nil)
  end, "api")
  t.equal(asked(calls), { "/items?size=2", "https://h/b/items?page=2" })
  t.equal({ #list, list[2].number, #list[2].items }, { 2, 2, 2 })
end)

t.test("a field of the JSON may say where the next page is", function()
  local _, calls = play({ items = "data", next = "meta.next" }, function(call)
    return call[1] == "/items" and answer("https://h/items", { data = { 1 }, meta = { next = "?after=1" } })
      or answer("https://h/items?after=1", { data = {}, meta = { next = json.null } })
  end)
  t.equal(asked(calls), { "/items", "https://h/items?after=1" })
end)

t.test("a cursor goes into the query beside what stood there", function()
  local list, calls = play({ items = "data", query = { size = 5 }, next = { cursor = "cursor", as = "after" } }, function(call)
    local after = call.opts.query.after
    return answer("https://h/items?" .. tostring(after), { data = { 1 }, cursor = not after and "c1" or after == "c1" and "c2" or nil })
  end)
  t.equal(asked(calls), { "/items?size=5", "/items?after=c1&size=5", "/items?after=c2&size=5" })
  t.equal(#list, 3)
end)

t.test("numbered pages end with an empty one", function()
  local _, calls = play({ items = "rows", next = { page = "offset", from = 0, step = 100 } }, function(call)
    return answer("https://h/items?" .. call.opts.query.offset, { rows = call.opts.query.offset < 200 and { 1 } or {} })
  end)
  t.equal(asked(calls), { "/items?offset=0", "/items?offset=100", "/items?offset=200" })
end)

t.test("no page of another origin is asked for", function()
  for _, link in ipairs {
    "https://evil.example/x", "//evil.example/x", "http://h/items", "https://h:8443/x", "https://h@evil.example/", "file:///etc/passwd",
    "https:/\\evil.example", "javascript:x",
  } do
    local list, calls, err = play({ next = "next" }, function()
      return answer("https://h/items", { next = link })
    end)
    t.equal({ #list, #calls, err and err.kind }, { 0, 1, "refused" })
  end
  t.equal(pages.resolve("https://h/a/b?x=1", "c?y=2"), "https://h/a/c?y=2")
  t.equal(pages.resolve("https://h/a/b?x=1", "https://user:pw@h/c"), "https://h/c")
end)

t.test("a listing that never ends is ended", function()
  local _, calls, err = play({ next = "next" }, function()
    return answer("https://h/items", { next = "/items" })
  end)
  t.equal({ #calls, err.message }, { 2, "the listing leads back to https://h/items" })
  local n = 0
  _, calls, err = play({ next = "next", limit = 3 }, function()
    n = n + 1
    return answer("https://h/items?" .. n, { next = "/items?" .. (n + 1) })
  end)
  t.equal({ #calls, err.code }, { 3, "too many pages" })
end)

t.test("what a page lacks is told", function()
  local _, _, err = play({ items = "data" }, function()
    return answer("https://h/items", { date = {} })
  end)
  t.equal(err.hint, "did you mean 'date'?")
  _, _, err = play({ items = "data" }, function()
    return answer("https://h/items", { data = "none" })
  end)
  t.equal(err.message, "'data' of https://h/items is no list")
end)

t.test("options are checked before anything is asked for", function()
  for _, opts in ipairs { { next = 5 }, { next = {} }, { next = { cursor = "a" } }, { next = { page = "p", step = 0 }, items = "x" },
    { limit = 0 }, { items = 5 }, { next = { page = "p" } } } do
    local stepper, why = pages.open("api", "/items", opts)
    t.equal({ stepper, type(why) }, { nil, "string" })
  end
end)
