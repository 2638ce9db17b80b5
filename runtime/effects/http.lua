--- HTTP: http "name":get(path) to a connection of the environment, http.get(url) to any origin that
--- the header's uses.http names.
local reading = { "query", "headers", "expect", "retries", "follow" }
local changing = { "query", "headers", "json", "form", "body", "file", "expect", "idempotency" }
-- A read's options name a body, too, so that one is refused with its reason and not as unknown.
local anything = { "query", "headers", "json", "form", "body", "file", "expect", "retries", "follow", "idempotency" }

local function row(class, verb, options, help)
  return {
    class = class,
    module = "http",
    verb = verb,
    face = "both",
    params = { { "path", "string" }, { "opts", "options?" } },
    options = options,
    returns = "{status, url, headers, body, json, time, timing, tls} :at(path) :need(path)",
    help = help,
  }
end

local rows = {
  ["http.get"] = row("read", "get", anything, "asks for a resource"),
  ["http.head"] = row("read", "head", anything, "asks for a resource's headers"),
  ["http.options"] = row("read", "options", anything, "asks what a resource allows"),
  ["http.post"] = row("change", "post", changing, "posts; a read where the environment's `reads` says so"),
  ["http.put"] = row("change", "put", changing, "puts a resource"),
  ["http.patch"] = row("change", "patch", changing, "alters a resource"),
  ["http.delete"] = row("change", "delete", changing, "deletes a resource"),
  ["http.request"] = row("change", "request", anything, "any method; GET, HEAD, OPTIONS are reads"),
  ["http.certificate"] = row("read", "certificate", reading, "looks at the peer's TLS certificate"),
}
rows["http.pages"] = row("read", "pages", { "items", "next", "limit", table.unpack(reading) },
  "iterates over a listing: every page is a get of its own, with page.items and page.number")
rows["http.pages"].each = "http.get"
rows["http.pages"].returns = "iterator of pages"
rows["http.request"].params = { { "method", "string" }, { "path", "string" }, { "opts", "options?" } }
rows["http.certificate"].params = { { "path", "string?" }, { "opts", "options?" } }
rows["http.certificate"].returns = "{subject, issuer, names, starts, expires, expires_in}"
return rows
