--- redis "cache":get(key), :call(…), :info(section), :scan {…}, :pipeline {…}. A command is a read when the
--- shipped table says so and the live server agrees; everything else is a change. Nothing unsafe is sent twice.
local classify = require "runtime.redis.classify"
local errors = require "runtime.errors"
local parse_info = require "runtime.redis.info"
local pool = require "runtime.redis.pool"
local reviewed = require "runtime.redis.reviewed"
local scan = require "runtime.redis.scan"
local seconds_of = require "runtime.seconds"
local settle = require "runtime.redis.settle"
local text = require "runtime.text"
local texts = require "runtime.redis.texts"
local time_text = require "runtime.time_text"
local words = require "runtime.redis.words"

--- A summary's length, lines of a preview, and what of a reply the journal keeps.
local SHOWN, PREVIEW_LINES, KEPT_VALUES, KEPT_BYTES = 100, 4, 10000, 262144
--- Commands of a pipeline, and their bytes, that the journal names one by one; of more, it has the digest.
local NAMED, NAMED_BYTES = 1000, 65536

---@param services {host: table, environment: table, run: table}
return function(services)
  local host = services.host
  local sessions = pool.new(services)
  local adapter = {}

  -- -- describe -----------------------------------------------------------------------------------

  local function refuse(list, why)
    error(errors.refused { message = ("'%s' is not sent: %s"):format(words.show(list, 60), why) }, 0)
  end

  --- The command of so many given values, classed. Raises refused for what is never sent.
  local function read_command(entry, given, n)
    local list = words.build(given, n, host)
    local class = classify.command(list, entry.trusted)
    local spaced = list[1]:gsub("_", "|", 1) -- config_get as a method's name
    if class.why == "unknown" and spaced ~= list[1] then
      local name, sub = spaced:match "^(.-)|(.*)$"
      local split = table.move(list, 2, #list, 3, { name, sub })
      local other = classify.command(split, entry.trusted)
      if other.why ~= "unknown" then
        list, class = split, other
      end
    end
    if class.refused then
      refuse(list, class.refused)
    end
    return list, class
  end

  local describe = {}

  function describe.call(request, args)
    local given = table.move(args, 2, args.n or #args, 2, { args[1] })
    local list, class = read_command(request.entry, given, args.n or #args)
    request.commands, request.classes, request.class = { list }, { class }, class.class
    request.shown = words.show(list, SHOWN)
    request.is_whole = request.shown == words.show(list)
    if class.keys and class.keys > 1 then
      request.shown = ("%s (%d keys)"):format(request.shown, class.keys)
    end
  end

  function describe.info(request, args)
    local list = { "INFO", args[1] }
    request.commands, request.classes, request.class = { list }, { classify.command(list) }, "read"
    request.shown = args[1] or "all"
  end

  function describe.scan(request, args)
    request.scan = scan.request(args.opts, args.more, request.entry.trusted)
    request.commands, request.classes, request.class = {}, scan.classes(request.scan), "read"
    request.shown = scan.summary(request.scan)
  end

  function describe.pipeline(request, args)
    request.commands, request.classes, request.class = {}, {}, "read"
    if #args[1] == 0 then
      error(errors.wrap "redis:pipeline: expected a list of commands such as {{\"GET\", \"a\"}, {\"TTL\", \"a\"}}", 0)
    end
    local keys = 0
    for i, given in ipairs(args[1]) do
      if type(given) ~= "table" then
        error(errors.wrap(("redis:pipeline: command %d: expected a list, got %s"):format(i, type(given))), 0)
      end
      local list, class = read_command(request.entry, given, #given)
      request.commands[i], request.classes[i] = list, class
      request.class = class.class == "change" and "change" or request.class
      keys = keys + (class.keys or 0)
    end
    request.shown = ("%s, %s: %s"):format(
      text.plural(#request.commands, "command"),
      text.plural(keys, "key"),
      words.show(request.commands[1], 60) .. (#request.commands > 1 and "; …" or "")
    )
  end

  --- What identifies the effect: its words, or where a scan stands.
  local function body_of(request)
    if request.scan then
      return { scan = request.scan.tail, cursor = request.scan.cursor, with = scan.summary(request.scan) }
    end
    local commands, bytes = host.json.array {}, 0
    for i, list in ipairs(request.commands) do
      commands[i] = words.journaled(list, host)
      for _, word in ipairs(commands[i]) do
        bytes = bytes + #word
      end
    end
    if #commands > 1 and (#commands > NAMED or bytes > NAMED_BYTES) then
      return { commands = #commands, sha256 = host.digest.sha256(host.json.canonical(commands)) }
    end
    return { commands = commands }
  end

  function adapter.describe(verb, args)
    local opts = args.opts or {}
    local request = {
      entry = sessions:entry(args.name),
      timeout = opts.timeout ~= nil and seconds_of(opts.timeout, "redis: timeout") or nil,
    }
    describe[verb](request, args)
    local declared = false
    for _, class in ipairs(request.classes) do
      declared = declared or class.why == "trusted"
    end
    return {
      target = args.name,
      summary = ("%s %s: %s"):format(verb, args.name, request.shown),
      within = request.timeout or request.entry.timeout,
      class = request.class,
      declared = request.class == "read" and declared or nil,
      body = body_of(request),
      request = request,
      opts = opts,
    }
  end

  -- -- prepare ------------------------------------------------------------------------------------

  local function raise_unproved(class, why)
    error(errors.refused {
      message = ("'%s' is not proved to be a read: %s"):format(class.name:gsub("|", " "):upper(), why),
      hint = ("trusted_commands = { %q } of the connection vouches for it"):format((class.name:gsub("|", " "))),
    }, 0)
  end

  --- Asks the live server what it thinks of commands that count as reads; its answer holds for the run.
  local function prove(request)
    local entry, asked = request.entry, {}
    for _, class in ipairs(request.classes) do
      if class.class == "read" and class.why ~= "trusted" and not entry.proved[class.name] and not asked[class.name] then
        asked[#asked + 1], asked[class.name] = class, true
      end
    end
    if #asked == 0 then
      return
    end
    local commands = {}
    for i, class in ipairs(asked) do -- a server before 7 knows no subcommands: their command answers
      commands[i] = { "COMMAND", "INFO", class.name, (class.name:match "^[^|]+") }
    end
    local replies, err = sessions:run(entry, commands, request.timeout, true)
    if not replies then
      texts.raise(entry.name, "COMMAND INFO", err, "read")
    end
    for i, class in ipairs(asked) do
      if err and err[i] then
        raise_unproved(class, ("the server does not tell (%s)"):format(err[i].message))
      end
      local own, container = replies[i][1], replies[i][2]
      local why = classify.disagreement(class, own or container)
      if why then
        raise_unproved(class, why)
      end
      entry.proved[class.name] = true
    end
  end

  function adapter.prepare(_, request)
    if request.class == "read" then
      prove(request)
    else -- a server that cannot be reached is found out before the change is begun
      sessions:release(request.entry, sessions:acquire(request.entry))
    end
  end

  -- -- perform ------------------------------------------------------------------------------------

  local function send(request, commands)
    return sessions:run(request.entry, commands, request.timeout, request.class == "read")
  end

  --- Replies that are names and values in turn become a table by name. Passwords among the settings are
  --- not handed out.
  local function shape(class, reply)
    if class.name ~= "config|get" and class.name ~= "hgetall" or type(reply) ~= "table" then
      return reply
    end
    local named = {}
    for i = 1, #reply - 1, 2 do
      local hidden = class.name == "config|get" and reviewed.secret_settings[reply[i]] and reply[i + 1] ~= ""
      named[reply[i]] = hidden and "‹secret›" or reply[i + 1]
    end
    return named
  end

  local perform = {}

  local function perform_one(request)
    local list = request.commands[1]
    local replies, err = send(request, request.commands)
    if not replies or err then
      texts.raise(request.entry.name, words.show(list, 40), err[1] or err, request.class)
    end
    return shape(request.classes[1], replies[1])
  end

  function perform.call(request)
    local reply = perform_one(request)
    if reply == false then
      reply = nil
    end
    if request.class == "read" then
      return reply
    end
    return { reply = reply, count = math.type(reply) == "integer" and reply or nil }
  end

  function perform.info(request)
    return parse_info(perform_one(request))
  end

  function perform.scan(request)
    local page, err = scan.page(request.scan, function(commands)
      return send(request, commands)
    end)
    if not page then
      texts.raise(request.entry.name, "SCAN", err, "read")
    end
    return page
  end

  --- Some commands may have done their work before one failed: then something was changed.
  function perform.pipeline(request)
    local replies, err = send(request, request.commands)
    if not replies then
      texts.raise(request.entry.name, "pipeline", err, request.class)
    end
    for i, list in ipairs(request.commands) do
      replies[i] = shape(request.classes[i], replies[i])
      if err and err[i] then
        local failed = 0
        for _ in pairs(err) do
          failed = failed + 1
        end
        local what = ("command %d of %d, %s"):format(i, #request.commands, words.show(list, 40))
        if failed < #request.commands and request.class == "change" then
          err[i].outcome = "done"
          err[i].message = ("%s (%s done, %d failed)"):format(err[i].message, text.plural(#request.commands - failed, "command"), failed)
        end
        texts.raise(request.entry.name, what, err[i], request.class)
      end
    end
    return replies
  end

  function adapter.perform(verb, request)
    return perform[verb](request)
  end

  --- Did commands happen that were begun and never ended? Reads only, proved like any other.
  ---@param record table its effect.begin
  ---@return "done"|nil, string? why
  function adapter.settle(_, record)
    local found, entry = pcall(sessions.entry, sessions, record.target)
    if not found then
      error(errors.effect { message = tostring(entry), code = "connection", outcome = "failed" }, 0)
    end
    local age = host.clock.wall() - (time_text.epoch(host.clock, "UTC", record.t) or 0)
    return settle.find(record, age, function(commands)
      local classes = {}
      for i, list in ipairs(commands) do
        classes[i] = classify.command(list, entry.trusted)
      end
      local request = { entry = entry, classes = classes, class = "read" }
      prove(request)
      local replies, err = send(request, commands)
      if not replies then
        texts.raise(entry.name, "a look", err, "read")
      end
      return replies, err
    end)
  end

  -- -- the journal and a dry run --------------------------------------------------------------------

  --- Counts what a reply holds; false when it cannot be kept as JSON.
  local function measure(value, sum)
    if type(value) == "string" then
      sum.bytes = sum.bytes + #value
      return sum.bytes <= KEPT_BYTES and utf8.len(value) ~= nil
    elseif type(value) == "table" then
      for _, item in next, value do
        sum.values = sum.values + 1
        if sum.values > KEPT_VALUES or not measure(item, sum) then
          return false
        end
      end
    end
    return true
  end

  function adapter.keep(verb, result)
    if verb == "scan" then
      return nil, text.plural(#result.items // result.width, "key")
    elseif not measure(result, { values = 0, bytes = 0 }) then
      return nil, "a large or binary reply"
    end
    return { value = result }
  end

  function adapter.revive(_, kept)
    return kept.value
  end

  function adapter.preview(_, request)
    local lines = {}
    for i, list in ipairs(request.commands) do
      if #lines >= PREVIEW_LINES then
        lines[#lines + 1] = ("… %s more"):format(text.plural(#request.commands - i + 1, "command"))
        break
      end
      for _, line in ipairs(words.lines(list, PREVIEW_LINES)) do
        lines[#lines + 1] = line
      end
    end
    if request.is_whole then
      return nil -- the summary said it all
    end
    return { lines = lines }
  end

  function adapter.close()
    sessions:close()
  end

  return adapter
end
