--- A host for unit tests of the Lua core: tasks on coroutines with a clock that jumps, a journal in
--- memory, adapters that write down when they are called. `fake.play` runs the real `play` command
--- on it; what would talk to the world is replaced.
---
---   local run = fake.play { dry = true, playbook = function(_ENV)
---     step("Change it", function() sql "db":exec "delete" end)
---   end }
---   run.code, run.records, run.events, run.trace, run.host
package.path = "./?.lua;" .. package.path

local fake = {}

-- Rows of our own, so that these tests hold whatever the real primitives look like.
local opts = { "opts", "options?" }
package.loaded["runtime.effects.sql"] = {
  ["sql.query"] = {
    class = "read", module = "sql", verb = "query", face = "handle", returns = "rows",
    params = { { "text", "string" }, { "values", "list?" }, opts }, help = "reads",
  },
  ["sql.exec"] = {
    class = "change", module = "sql", verb = "exec", face = "handle", returns = "{count}",
    params = { { "text", "string" }, { "values", "list?" }, opts }, help = "changes",
  },
}
package.loaded["runtime.effects.http"] = {}
package.loaded["runtime.effects.shell"] = {
  ["shell.run"] = {
    class = "change", module = "shell", verb = "run", face = "library", returns = "{code}",
    params = { { "argv", "table|string" }, opts }, help = "runs",
  },
}
package.loaded["runtime.effects.notify"] = {
  ["notify"] = {
    class = "tell", module = "notify", verb = "send", face = "call", returns = "{}",
    params = { { "text", "string" }, opts }, help = "tells",
  },
}

-- -- tasks ----------------------------------------------------------------------------------------

local function new_tasks(host)
  local ready, sleeping, running = {}, {}, nil
  local tasks = { sleeps = {} }

  local function wake(task, ...)
    task.wait, task.wake_at = nil, nil
    task.results = table.pack(...)
    ready[#ready + 1] = task
  end

  local function finish(task, ...)
    task.ended, task.outcome = true, table.pack(...)
    for _, joiner in ipairs(task.joiners) do
      if joiner.wait == task then
        wake(joiner, table.unpack(task.outcome, 1, task.outcome.n))
      end
    end
  end

  local function resume(task)
    local outer = running
    running = task
    local results = table.pack(coroutine.resume(task.co, table.unpack(task.results, 1, task.results.n)))
    running = outer
    if coroutine.status(task.co) == "dead" then
      finish(task, table.unpack(results, 1, results.n))
    end
  end

  local function suspend(wait, seconds)
    local task = running
    task.wait, task.wake_at = wait, seconds and host.now + seconds or nil
    if seconds then
      sleeping[#sleeping + 1] = task
    end
    return coroutine.yield()
  end

  function tasks.spawn(fn, ...)
    local task = { co = coroutine.create(fn), locals = {}, joiners = {}, results = table.pack(...) }
    ready[#ready + 1] = task
    return task
  end

  function tasks.join(task, seconds)
    if task.ended then
      return table.unpack(task.outcome, 1, task.outcome.n)
    end
    task.joiners[#task.joiners + 1] = running
    return suspend(task, seconds)
  end

  function tasks.cancel(task)
    if task.wait then
      wake(task, nil, { message = "cancelled", code = "cancelled", outcome = "not sent", stopped = "cancel" })
    end
  end

  function tasks.sleep(seconds)
    tasks.sleeps[#tasks.sleeps + 1] = seconds
    return suspend("sleep", seconds)
  end

  function tasks.running()
    return running
  end

  function tasks.locals(task)
    return (task or running or {}).locals
  end

  --- Ends the wait of whoever waits for signals.
  function tasks.signal(count, name)
    wake(host.signal_waiter, count, name)
  end

  function tasks.wait_signal()
    host.signal_waiter = running
    return suspend "signal"
  end

  --- The earliest sleeper, whose time has come once nothing else can run.
  local function next_sleeper()
    local first
    for i = #sleeping, 1, -1 do
      local task = sleeping[i]
      if not task.wake_at then
        table.remove(sleeping, i)
      elseif not first or task.wake_at <= first.wake_at then
        first = task
      end
    end
    return first
  end

  --- Runs fn as the main task to its end; returns what pcall would.
  function tasks.run(fn)
    local main = tasks.spawn(fn)
    for _ = 1, 100000 do
      if main.ended then
        return table.unpack(main.outcome, 1, main.outcome.n)
      end
      if #ready > 0 then
        resume(table.remove(ready, 1))
      else
        local task = assert(next_sleeper(), "the main task waits for something that cannot come")
        host.now = math.max(host.now, task.wake_at)
        if task.wait == "sleep" then
          wake(task, true)
        else
          wake(task, nil, { message = "the task is still running", code = "timeout", stopped = "timeout" })
        end
      end
    end
    error "the test runs for ever"
  end

  return tasks
end

-- -- json and the store ---------------------------------------------------------------------------

local function encode(value, depth)
  local kind = type(value)
  if kind == "string" then
    return '"' .. value:gsub('[%c"\\]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
  elseif kind == "number" or kind == "boolean" then
    return tostring(value)
  elseif kind ~= "table" or depth > 30 or getmetatable(value) == "planned" then
    error("cannot encode a " .. kind, 0)
  end
  local meta = getmetatable(value)
  local form = type(meta) == "table" and rawget(meta, "__json")
  if form then
    return encode(type(form) == "function" and form(value) or form, depth + 1)
  end
  local parts = {}
  if #value > 0 then
    for i, item in ipairs(value) do
      parts[i] = encode(item, depth + 1)
    end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for name, item in pairs(value) do
    parts[#parts + 1] = encode(tostring(name), depth) .. ":" .. encode(item, depth + 1)
  end
  table.sort(parts)
  return "{" .. table.concat(parts, ",") .. "}"
end

local function copy(value)
  if type(value) ~= "table" then
    return value
  end
  local out = {}
  for k, v in pairs(value) do
    out[k] = copy(v)
  end
  return out
end

local function new_json(host)
  local function to_text(value)
    local ok, text = pcall(encode, value, 0)
    if not ok then
      return nil, text
    end
    host.decoded[text] = copy(value)
    return text
  end
  return {
    encode = to_text,
    canonical = to_text,
    array = function(list) return list end,
    decode = function(text)
      return copy(host.decoded[text]), "not ours"
    end,
  }
end

--- One run's journal in memory. `host.fail_append(record, sync)` may return an error to be met.
local function new_store(host, id)
  local store = { records = {} }
  function store.append(_, text, sync)
    local record = assert(host.decoded[text], "a record that was not encoded")
    local failure = host.fail_append and host.fail_append(record, sync)
    if failure then
      return nil, failure
    end
    record.n, record.t = #store.records + 1, host.clock.utc(host.clock.wall())
    store.records[record.n] = record
    host.trace[#host.trace + 1] = ("journal %s%s"):format(record.type, sync and " synced" or "")
    return true
  end
  function store.blob(_, text)
    host.blobs = host.blobs or {}
    host.blobs[host.digest.sha256(text)] = text
    return host.digest.sha256(text)
  end
  function store.fetch(_, digest)
    return host.blobs[digest], { code = "missing", message = "no blob" }
  end
  function store.artifact(_, name, text)
    host.artifacts[name] = text
    return "/runs/" .. id .. "/" .. name
  end
  function store.opened()
    return host.released
  end
  function store.tip()
    return #store.records, "digest"
  end
  function store.dir()
    return "/runs/" .. id
  end
  function store.read()
    local lines = {}
    for i, record in ipairs(store.records) do
      lines[i] = { n = i, t = record.t, text = assert(host.json.encode(record)) }
    end
    return lines, host.torn
  end
  return store
end

-- -- the host table -------------------------------------------------------------------------------

--- A terminal whose operator types the words of `answers` one after another.
local function new_term(host, answers)
  local term = { printed = {}, asked = {} }
  local function print(text)
    term.printed[#term.printed + 1] = text
  end
  term.out, term.err = print, print
  function term.message(kind, text, hint)
    print(kind .. ": " .. text .. (hint and ("\n" .. hint) or "") .. "\n")
  end
  function term.shows()
    return term.is_terminal()
  end

  function term.is_terminal()
    return host.terminal
  end
  function term.width()
    return 80
  end
  function term.display_width(text)
    return utf8.len(text) or #text
  end
  function term.status() end
  function term.entered() return nil, { code = "cancelled" } end
  function term.set_colour() end
  function term.ask(request)
    term.asked[#term.asked + 1] = request
    local answer = table.remove(answers, 1)
    if answer == nil then
      return nil, { code = "eof", message = "end of input" }
    elseif request.kind == "yesno" then
      return answer == "yes"
    end
    return answer
  end
  function term.text()
    return table.concat(term.printed)
  end
  return term
end

---@param given {terminal: boolean?, answers: string[]?, secrets: string[]?, fail_append: function?}?
function fake.new(given)
  given = given or {}
  local host = {
    now = 1000,
    trace = {},
    decoded = {},
    artifacts = {},
    stores = {},
    states = {},
    terminal = given.terminal or false,
    fail_append = given.fail_append,
    line = "test.lua:1",
  }
  host.task = new_tasks(host)
  host.task.check_can_wait = function() end
  host.task.deadline = function() end
  host.json = new_json(host)
  host.term = new_term(host, given.answers or {})
  host.clock = {
    monotonic = function() return host.now end,
    wall = function() return 1795230000 + host.now end,
    fields = function(seconds)
      local f = os.date("!*t", math.floor(seconds))
      f.offset, f.frac, f.zone = 0, seconds % 1, "UTC"
      return f
    end,
    utc = function(seconds)
      return os.date("!%Y-%m-%dT%H:%M:%S", math.floor(seconds)) .. ".000Z"
    end,
  }
  host.digest = { sha256 = function(text) return "sha256 of " .. text end }
  host.mask = {
    json = function(text) return text end,
    apply = function(text)
      for _, secret in ipairs(given.secrets or {}) do
        text = text:gsub(secret, "‹secret›")
      end
      return text
    end,
  }
  host.store = {
    state_get = function(name)
      if host.states[name] then
        return host.states[name]
      end
      return nil, { code = "missing", message = "nothing kept" }
    end,
    state_put = function(name, text)
      host.states[name] = text
      return true
    end,
    lock = function()
      return { release = function() end }
    end,
    home = function() return "/home" end,
    list = function()
      local ids = {}
      for id in pairs(host.stores) do
        ids[#ids + 1] = id
      end
      table.sort(ids)
      return ids
    end,
    create = function(id)
      if host.stores[id] then
        return nil, { code = "exists", message = "exists" }
      end
      host.stores[id] = new_store(host, id)
      return host.stores[id]
    end,
    open = function(id)
      return host.stores[id], { code = "missing", message = "no run '" .. id .. "'" }
    end,
    holder = function(id)
      return host.held == id and { pid = 1 } or nil
    end,
  }
  host.system = {
    version = "test",
    user = function() return "ana" end,
    hostname = function() return "web1" end,
    pid = function() return 42 end,
    env = function() return nil end,
  }
  host.signals = {
    wait = host.task.wait_signal,
    count = function() return 0 end,
    reset = function() end,
  }
  host.where = function() return host.line end
  return host
end

--- An adapter that does what `does[text]` says: a value, or a function(host, request) -> value.
local function new_adapter(host, module, spec)
  local adapter = {}
  local function trace(stage, text)
    host.trace[#host.trace + 1] = ("%s %s"):format(stage, text)
  end
  function adapter.describe(verb, args)
    local text = type(args[1]) == "table" and table.concat(args[1], " ") or args[1]
    trace("describe", text)
    local effect = {
      target = args.name,
      summary = ("%s %s"):format(verb, text),
      body = { text = text, values = args[2] },
      request = { text = text, verb = verb },
      opts = args.opts,
      declared = (spec.declared or {})[text],
    }
    if module == "shell" then
      effect.uses = { "shell", args[1] }
    elseif module == "notify" then
      effect.uses = { "notify", args.name }
    end
    return effect
  end
  function adapter.prepare(_, request)
    trace("prepare", request.text)
    local prepare = (spec.prepares or {})[request.text]
    return prepare and prepare(host) or { token = 7 }
  end
  function adapter.perform(_, request)
    trace("perform", request.text)
    local what = (spec.does or {})[request.text]
    if type(what) == "function" then
      what = what(host, request)
    end
    return what == nil and { count = 1 } or what
  end
  function adapter.abandon(_, request)
    trace("abandon", request.text)
  end
  function adapter.preview(_, request)
    local preview = (spec.previews or {})[request.text]
    return preview and preview(host) or { lines = { "preview" } }
  end
  return adapter
end

local function replace_modules(spec, environment, header)
  package.loaded["runtime.environment"] = { load = function() return environment end }
  package.loaded["runtime.params"] = {
    resolve = function() return spec.params or {} end,
    shown = function(values) return values end,
    moments = function() return {} end,
    with = function(values) return values end,
  }
  package.loaded["runtime.loader"] = {
    load = function(_, _, given)
      spec.playbook(given.globals)
      return { path = "test.lua", name = "room/test.lua", header = header, digest = "d" }
    end,
  }
  for _, module in ipairs { "sql", "http", "shell", "notify" } do
    package.loaded["runtime.primitives." .. module] = function(services)
      return new_adapter(services.host, module, spec)
    end
  end
end

--- Lets `play` hand its events to us as well as to its renderer.
local function collect_events(events)
  local report = require "runtime.report"
  fake.report_open = fake.report_open or report.open
  report.open = function(renderer)
    fake.report_open(function(event)
      events[#events + 1] = event
      renderer(event)
    end)
  end
end

---@param spec table {playbook = function(_ENV), dry, flags, header, params, environment, terminal,
--- answers (typed), does, prepares, secrets, fail_append}
---@return table {code, host, records, events, trace, text, error}
function fake.play(spec)
  local host = fake.new(spec)
  local environment = spec.environment or { name = "lab" }
  local header = spec.header or { title = "Test" }
  replace_modules(spec, environment, header)
  package.loaded["runtime.commands.play"] = nil
  local events = {}
  collect_events(events)
  require("runtime.context").open(host.task)
  require("runtime.tasks").open(host.task)
  require("runtime.journal").open_host(host)
  local flags = spec.flags or {}
  flags.dry_run = spec.dry
  local services = { host = host, options = { command = "play", words = { "test.lua" }, flags = flags } }
  local ok, code = host.task.run(function()
    return require "runtime.commands.play"(services)
  end)
  local records = {}
  for _, store in pairs(host.stores) do
    records = store.records
  end
  return {
    code = ok and code or nil,
    error = not ok and code or nil,
    host = host,
    records = records,
    events = events,
    trace = host.trace,
    text = host.term.text(),
  }
end

--- The records of one type, in order.
function fake.records(run, type)
  local list = {}
  for _, record in ipairs(run.records) do
    if record.type == type then
      list[#list + 1] = record
    end
  end
  return list
end

--- The events of one kind, in order.
function fake.events(run, kind)
  local list = {}
  for _, event in ipairs(run.events) do
    if event.event == kind then
      list[#list + 1] = event
    end
  end
  return list
end

--- The end of the step with this id (its last one).
function fake.step_end(run, id)
  local found
  for _, record in ipairs(fake.records(run, "step.end")) do
    if record.step == id then
      found = record
    end
  end
  return found
end

--- The trace's lines that hold one of the words, joined, for a comparison of the order.
function fake.order(run, ...)
  local words, list = { ... }, {}
  for _, line in ipairs(run.trace) do
    for _, word in ipairs(words) do
      if line:find(word, 1, true) then
        list[#list + 1] = line
        break
      end
    end
  end
  return table.concat(list, ", ")
end

--- How often `perform TEXT` is in the trace.
function fake.performed(run, text)
  local count = 0
  for _, line in ipairs(run.trace) do
    count = count + (line == "perform " .. text and 1 or 0)
  end
  return count
end

return fake
