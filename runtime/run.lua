--- A run: the table that everything of it hangs on, its adapters, its first record. For play, and for what
--- goes on with a run later: resume, undo, replay.
local context = require "runtime.context"
local errors = require "runtime.errors"
local gate = require "runtime.gate"
local journal = require "runtime.journal"
local params = require "runtime.params"
local plain = require "runtime.plain"
local replay = require "runtime.replay"
local rules = require "runtime.rules"
local step = require "runtime.step"
local text = require "runtime.text"
local trace = require "runtime.trace"
local run_of = {}

local adapter_names = {
  "people", "folder", "time", "state", "sql", "http", "redis", "shell", "service", "files", "logs", "notify", "secret",
}

--- "--answer GATE=VALUE" words as a table.
local function parse_answers(words)
  local answers = {}
  for _, word in ipairs(words or {}) do
    local id, value = word:match "^([^=]+)=(.*)$"
    if not id then
      error(errors.usage {
        message = ("--answer '%s': expected GATE=VALUE"):format(word),
        hint = "for example --answer terminate-idle-sessions=yes",
      }, 0)
    end
    answers[id] = value
  end
  return answers
end

local function as_set(list)
  local set = {}
  for _, item in ipairs(list or {}) do
    set[item] = true
  end
  return set
end

--- --override RULE … as a set. Raises a usage error when nobody said why.
local function overrides_of(flags)
  if flags.override and (flags.because or ""):match "^%s*$" then
    error(errors.usage {
      message = "--override: --because is missing: why is the rule set aside?",
      hint = "for example --override limits.sessions --because 'all of them are stuck, ticket 4711'",
    }, 0)
  end
  for _, rule in ipairs(flags.override or {}) do
    local own = rule:match "^rules%.([%w_]+)$"
    if not rule:find "^uses%.%a+$" and not rule:find "^limits%.[%w_]+$" and not (own and rules.may_be_overridden[own]) then
      error(errors.usage {
        message = ("--override '%s': %s"):format(rule, own and "this rule cannot be set aside" or "no such rule"),
        hint = "rules are uses.SECTION, limits.NAME, rules.within and rules.deny, as a refusal names them",
      }, 0)
    end
  end
  return as_set(flags.override)
end

--- The command that plays the same thing live.
local function command_line(playbook, environment, flags)
  local words = { "opsrun", "play", playbook, "-e", environment.name }
  local function add(flag, values)
    for _, value in ipairs(values or {}) do
      words[#words + 1] = flag
      words[#words + 1] = value
    end
  end
  add("--config", { flags.config })
  add("-p", flags.params)
  add("--from", { flags.from })
  add("--until", { flags["until"] })
  add("--skip", flags.skip)
  for i, word in ipairs(words) do
    words[i] = text.shell_word(word)
  end
  return table.concat(words, " ")
end

--- What a run is at its start.
---@param services {host: table, options: table}
---@param book table what loader.load returned
---@param environment table
---@param values table the parameters
function run_of.new(services, book, environment, values)
  local host, flags = services.host, services.options.flags
  local run = {
    playbook = book.name,
    book = book,
    header = book.header,
    environment = environment,
    params = values,
    dry = flags.dry_run or flags.rehearse or false,
    rehearse = flags.rehearse or nil,
    rehearsed_list = {},
    options = flags,
    answers = parse_answers(flags.answers),
    answers_met = {},
    skip_ids = as_set(flags.skip),
    overrides = overrides_of(flags),
    overrides_met = {},
    operator = host.system.user(),
    changes = 0,
    changed = {},
    planned_list = {},
    checks = {},
    check_order = {},
    spent = {},
    tasks = {},
    stack = {},
    stack_top = { 0 }, -- a box: a called playbook counts in its caller's
    open = {},
    suggestions = {},
    gates = {},
    gate_counts = {},
    records = {},
    step_records = {},
    inner_ids = {},
    clock_offset = 0,
    seed = host.random and host.random.hex(16), -- what math.random of the playbook follows from
    command_line = command_line(services.options.words[1], environment, flags),
  }
  run.context = {
    run = run,
    path = book.name:gsub("%.lua$", ""),
    branch = "",
    attempt = 1,
    ordinal = 0,
  }
  return run
end

--- The users of the host's clients, each made when it is first needed: most playbooks need few.
---@return table<string, table> by name
function run_of.open_adapters(services, run)
  local adapters = {}
  local given = {
    host = services.host,
    run = run,
    environment = run.environment,
    options = services.options.flags,
    context = context.current,
  }
  local known = as_set(adapter_names)
  --- What a step kept is written by the state adapter, which is made for it.
  function run.commit_state(record)
    local _ = adapters.state -- it puts its own function in this one's place
    return run.commit_state(record)
  end
  function run.keep_series()
    if run.samples and #run.samples > 0 then
      local _ = adapters.state
      run.keep_series()
    end
  end
  return setmetatable(adapters, {
    __index = function(_, name)
      local adapter = known[name] and require("runtime.primitives." .. name)(given) or nil
      adapters[name] = adapter
      return adapter
    end,
  })
end

--- Connects a run with the gate and the steps: from here on its playbook can act.
---@param declared table the steps
function run_of.open(services, run, declared)
  run.known_gate = function(id)
    local base = id:gsub("%.outcome.*$", ""):gsub("%.%d+$", ""):gsub("%.rule$", "")
    local asked = run.recording and run.recording.asked[id]
    return asked or declared.by_id[base] ~= nil or declared.by_id[id] ~= nil or id == "environment" or id == "stale"
  end
  step.open(services.host)
  replay.open(services.host.task)
  run.adapters = run_of.open_adapters(services, run)
  gate.open { host = services.host, run = run, adapters = run.adapters }
  trace.open(services.host, gate)
end

--- Ends what a run's adapters hold: connections, samples to be kept.
function run_of.close(run)
  trace.beside("goodbye", function()
    for _, adapter in pairs(run.adapters) do
      if adapter.close then
        pcall(adapter.close)
      end
    end
  end)
end

--- The record a journal begins with.
function run_of.start_record(services, run, book)
  local host = services.host
  return {
    type = "run.start",
    format = journal.format,
    opsrun = host.system.version,
    run = run.id,
    playbook = book.name,
    title = book.header.title,
    digest = book.digest,
    params = params.shown(run.params),
    moments = plain.keep(params.moments(run.params)),
    environment = run.environment.name,
    protected = run.environment.protected or nil,
    operator = run.operator,
    hostname = host.system.hostname(),
    cwd = host.system.cwd and host.system.cwd() or nil,
    pid = host.system.pid(),
    seed = run.seed,
    mode = run.dry and "dry" or "live",
    rehearse = run.rehearse,
    frozen = run.frozen,
    flags = {
      params = plain.array(run.options.params or {}),
      from = run.options.from,
      ["until"] = run.options["until"],
      skip = plain.array(run.options.skip or {}),
      fail_on = run.options.fail_on,
      config = run.options.config,
    },
  }
end

return run_of
