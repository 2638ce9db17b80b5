--- Requests of visitors: how long they took and how many failed, from the access log of a proxy or the application; where there
-- is none, from a few requests of our own. Reads only.
-- An access log has fields path, status and request_time (seconds): nginx's own format with $request_time behind it, or JSON.

local traffic = {}

--- So many different times are told apart for one endpoint.
local TIMES = 10000
--- A scan takes 64 questions, two for each endpoint.
local AT_ONCE = 32
--- Times of all requests: below a second to the millisecond, above to the tenth, so that they are few enough to be counted.
local ROUNDED = [[^(0\.\d{3}|[1-9]\d*\.\d)]]
--- Nobody waits longer for one request of ours.
local PROBE_WITHIN = "30s"
--- Nor for all of them together, in seconds: one that is slow is known to be after a few.
local PROBES_WITHIN = 10

local ENDPOINTS = { "endpoint", "requests", "p50_ms", "p95_ms", "max_ms", "failed", "failed_percent", "refused", "statuses" }
traffic.SLOWEST = { "endpoint", "requests", "p50_ms", "p95_ms", "max_ms" }

--- Part of a whole, in percent to the hundredth.
local function percent_of(part, whole)
  return whole > 0 and math.floor(10000 * part / whole + 0.5) / 100 or 0
end

--- Percentiles of counted times, in milliseconds.
---@param groups table rows value (seconds, as text), count
---@return table { mean, p50, p95, max } nil values when there is no time
function traffic.percentiles(groups)
  local rows, all, sum = {}, 0, 0
  for _, group in ipairs(groups) do
    local seconds = tonumber(group.value)
    if seconds then
      rows[#rows + 1] = { ms = math.floor(1000 * seconds + 0.5), count = group.count }
      all, sum = all + group.count, sum + 1000 * seconds * group.count
    end
  end
  table.sort(rows, function(a, b) return a.ms < b.ms end)
  local found, before = { mean = all > 0 and math.floor(sum / all + 0.5) or nil }, 0
  for _, row in ipairs(rows) do
    before = before + row.count
    found.p50 = found.p50 or before >= 0.5 * all and row.ms or nil
    found.p95 = found.p95 or before >= 0.95 * all and row.ms or nil
    found.max = row.ms
  end
  return found
end

--- The path a shape stands for, as a regular expression: a shape has # for digits, one for each or one for all.
local function expression_of(shape)
  local quoted = shape:gsub("[%^%$%(%)%%%.%[%]%*%+%-%?%{%}|\\]", "\\%0")
  return "^" .. quoted:gsub("#+", "[0-9]+") .. "$"
end

--- A shape as people write it: one # for each number.
local function short(shape)
  return (shape:gsub("#+", "#"))
end

--- The last so long, up to now.
---@param span table a duration
---@return table window
function traffic.last(span)
  local to = now()
  return time.window(to - span, to + 1)      -- a log whose times are whole seconds has this one still open
end

--- The endpoints with most of something, by a scan's groups of paths; /orders/17 and /orders/4711 are of one endpoint.
local function add_endpoints(known, groups, most)
  for i = 1, math.min(most, #groups) do
    local name = short(groups[i].value)
    local shapes = known[name]
    if not shapes then
      shapes = { name = name }
      known[name], known[#known + 1] = shapes, shapes
    end
    if not shapes[groups[i].value] then
      shapes[groups[i].value], shapes[#shapes + 1] = true, expression_of(groups[i].value)
    end
  end
end

--- What the visitors of some time got.
---@param log string the access log, as named in the environment
---@param window table a window
---@return table { requests, failed (5xx), failed_percent, refused (4xx), refused_percent, statuses (rows value, count), mean,
--- p50, p95, max (ms; nil when the log holds no times), from, to }
function traffic.within(log, window)
  local seen = logs(log):scan {
    window = window,
    requests = { field = "status", regex = "^[1-5][0-9][0-9]$", group = "status", top = 100 },
    failed = { field = "status", regex = "^5" },
    refused = { field = "status", regex = "^4" },
    times = { field = "request_time", regex = ROUNDED, group = 1, top = TIMES },
  }
  local of = traffic.percentiles(seen.times.groups)
  return {
    requests = seen.requests.count, failed = seen.failed.count, refused = seen.refused.count, statuses = seen.requests.groups,
    failed_percent = percent_of(seen.failed.count, seen.requests.count), from = seen.from, to = seen.to,
    refused_percent = percent_of(seen.refused.count, seen.requests.count), mean = of.mean, p50 = of.p50, p95 = of.p95, max = of.max,
  }
end

--- The same of the last so long.
---@param log string
---@param span table a duration
---@return table as of `within`
function traffic.look(log, span)
  return traffic.within(log, traffic.last(span))
end

--- The busiest endpoints of some time, and those that fail most.
---@param log string
---@param window table a window
---@param top integer how many of each
---@return table known for `measure`
function traffic.find(log, window, top)
  local known = {}
  local seen = logs(log):scan {
    window = window,
    busy = { field = "status", regex = "^[1-5]", group = "path", shape = true, top = 2 * top },
    failing = { field = "status", regex = "^5", group = "path", shape = true, top = 2 * top },
  }
  add_endpoints(known, seen.failing.groups, top)
  add_endpoints(known, seen.busy.groups, 2 * top)
  for i = #known, math.min(2 * top, AT_ONCE) + 1, -1 do known[i] = nil end
  return known
end

--- "200 31, 500 4" of counted statuses, by the number.
local function statuses_of(groups)
  local list = {}
  for i, code in ipairs(groups) do list[i] = ("%s %d"):format(code.value, code.count) end
  table.sort(list)
  return table.concat(list, ", ")
end

--- What visitors got at some endpoints in some time.
---@param log string
---@param window table a window
---@param known table of `find`, perhaps of another window
---@return table rows endpoint (# for a number), requests, p50_ms, p95_ms, max_ms, failed, failed_percent, refused, statuses
function traffic.measure(log, window, known)
  local queries, rows = { window = window }, { columns = ENDPOINTS }
  if #known == 0 then return rows end
  for i, shapes in ipairs(known) do
    local expression = table.concat(shapes, "|")
    queries["times" .. i] = { field = "path", regex = expression, group = "request_time", top = TIMES }
    queries["codes" .. i] = { field = "path", regex = expression, group = "status", top = 100 }
  end
  local seen = logs(log):scan(queries)
  for i = 1, #known do
    local of, codes, failed, refused = traffic.percentiles(seen["times" .. i].groups), seen["codes" .. i], 0, 0
    for _, code in ipairs(codes.groups) do
      if code.value:find "^5" then failed = failed + code.count end
      if code.value:find "^4" then refused = refused + code.count end
    end
    rows[i] = {
      endpoint = known[i].name, requests = codes.count, p50_ms = of.p50, p95_ms = of.p95, max_ms = of.max, failed = failed,
      failed_percent = percent_of(failed, codes.count), refused = refused, statuses = statuses_of(codes.groups),
    }
  end
  return rows
end

--- Both at once, of the last so long.
---@param log string
---@param span table a duration
---@param top integer how many of each
---@return table rows of `measure`
function traffic.endpoints(log, span, top)
  local window = traffic.last(span)
  return traffic.measure(log, window, traffic.find(log, window, top))
end

--- Sorts rows by a number, greatest first, and keeps the first few.
---@param rows table of `endpoints`
---@param name string
---@param top integer
---@return table rows
function traffic.most(rows, name, top)
  local list = { columns = rows.columns }
  for i, row in ipairs(rows) do list[i] = row end
  table.sort(list, function(a, b)
    local x, y = a[name] or -1, b[name] or -1
    if x ~= y then return x > y end
    return a.endpoint < b.endpoint
  end)
  for i = #list, top + 1, -1 do list[i] = nil end
  return list
end

--- Requests of our own, one after another; one that is not answered well counts as failed.
---@param api string the connection's name in the environment
---@param paths string[]
---@param times integer so many of each
---@return table { requests, failed, failed_percent, refused, refused_percent, mean, p50, p95,
--- max (ms; nil when none was answered) }
function traffic.probe(api, paths, times)
  local groups, requests, failed, began = {}, 0, 0, now()
  for round = 1, times do
    if round > 1 and (now() - began).seconds > PROBES_WITHIN then break end
    for _, path in ipairs(paths) do
      local answer = try(function() return http(api):get(path, { timeout = PROBE_WITHIN, retries = 0 }) end)
      requests = requests + 1
      if answer then groups[#groups + 1] = { value = answer.time, count = 1 } else failed = failed + 1 end
    end
  end
  local of = traffic.percentiles(groups)
  return {
    requests = requests, failed = failed, failed_percent = percent_of(failed, requests), refused = 0, refused_percent = 0,
    mean = of.mean, p50 = of.p50, p95 = of.p95, max = of.max,
  }
end

--- How it is now: what visitors got, and where the log is not named or too few came, what we get.
---@param p table parameters: access (log), sample (duration), least (requests), api, paths, probes
---@return table as of `look`; probed = true when these are requests of our own
function traffic.now(p)
  local seen = p.access and traffic.look(p.access, p.sample)
  if seen and seen.requests >= p.least then return seen end
  seen = traffic.probe(p.api, p.paths, p.probes)
  seen.probed = true
  return seen
end

return traffic
