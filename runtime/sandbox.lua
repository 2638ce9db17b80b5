--- The world of a playbook: an allow-list of names, each with its reason, frozen. What is not on the list
--- does not exist, and reading or writing it is an error that names it.
local closed = require "runtime.closed"
local errors = require "runtime.errors"
local ordered = require "runtime.ordered"
local text = require "runtime.text"
local sandbox = {}

-- Basic functions. Left out: collectgarbage, dofile, load, loadfile (other code), pcall, xpcall (would
-- swallow plan signals, refusals and cancellation: `try` is for authors), rawget, rawset (walk around
-- what is frozen), print and warn (write past report and masking), coroutine, debug, io, os, package.
local basic = {
  "assert", -- raise in words
  "error",
  "ipairs",
  "math", -- numbers; random follows from the run's recorded seed
  "next", -- in order, as pairs
  "pairs", -- in order, so that two runs do the same
  "rawequal", -- compares, changes nothing
  "rawlen",
  "require", -- stdlib modules only
  "select",
  "setmetatable", -- no finalizers, no weak tables: both depend on the collector's moods
  "getmetatable", -- ours answer with their name
  "string",
  "table",
  "tonumber",
  "tostring", -- without addresses, which differ from run to run
  "type",
  "utf8",
  "_VERSION",
}

--- What to say instead of a name that authors of Lua expect.
local instead = {
  print = 'inside a step, write note("…") or show(…)',
  pcall = "to catch a failed effect, use try(fn)",
  xpcall = "to catch a failed effect, use try(fn)",
  io = "files are read with files.read, and written with files.write",
  os = "the time is now(), commands are shell.read and shell.run",
  load = "a playbook is one text; share code in a module of the standard library",
  dofile = "a playbook is one text; call another one with call(…)",
  loadfile = "a playbook is one text; call another one with call(…)",
  coroutine = "to do things side by side, use parallel or each",
  debug = "there is no debug library in playbooks",
  package = "require finds the modules of the standard library only",
  collectgarbage = "memory is opsrun's business",
  rawget = "read the field as usual",
  rawset = "assign the field as usual",
  _G = "globals cannot be listed or added",
  unpack = "it is table.unpack",
}

--- tostring without the address: "table: 0x55…" becomes "table".
local function plain_tostring(value)
  local said = tostring(value)
  if type(value) ~= "string" then
    return (said:gsub("^(.*): 0x%x+$", "%1"):gsub("^(.*): %(nil%)$", "%1"))
  end
  return said
end
sandbox.tostring = plain_tostring

local function holds_tables(map)
  for _, value in next, map do
    if type(value) == "table" and getmetatable(value) == nil then
      return true
    end
  end
  return false
end

--- A read-only view of a table; `name` is what messages call it. Plain tables in it are handed out as copies: what
--- one does to them nobody else sees.
local function freeze(map, name)
  local shared = holds_tables(map)
  local mt = {
    __index = not shared and map or function(_, key)
      return closed.own(map[key])
    end,
    __newindex = function(_, key)
      error(("'%s.%s' cannot be assigned: it belongs to opsrun"):format(name, tostring(key)), 2)
    end,
    __pairs = function()
      return ordered.pairs(shared and closed.own(map) or map)
    end,
    __len = function()
      return #map
    end,
    __metatable = name,
    __name = name,
  }
  local own = getmetatable(map)
  if own ~= nil then
    -- faces are callable: http "api". Their metatable is hidden, so the call goes to the original.
    mt.__call = function(_, ...)
      return map(...)
    end
  end
  return setmetatable({}, mt)
end
sandbox.freeze = freeze

--- Does the format hold %p? "%%p" is a percent sign and a letter.
local function shows_address(fmt)
  for conversion in fmt:gmatch "%%[-+ #0-9.]*(.)" do
    if conversion == "p" then
      return true
    end
  end
  return false
end

--- A text that one call may make by repeating another: beyond it the process would end for want of memory.
local longest_repeat = 256 * 1024 * 1024

local hardened = false

--- Makes what every text's methods reach harmless: ("x"):dump, ("%p"):format.
local function harden()
  if hardened or getmetatable("") == "string" then
    return
  end
  hardened = true
  local shared = getmetatable("").__index -- what every text's methods are looked up in
  local format, rep = shared.format, shared.rep
  shared.dump = nil
  shared.rep = function(piece, count, between)
    local bytes = type(piece) == "string" and math.tointeger(count) and (#piece + #tostring(between or "")) * (count + 0.0) or 0
    if bytes > longest_repeat then
      error(("bad argument #2 to 'rep' (%.0f bytes; a text may be repeated to 256 MiB)"):format(bytes), 2)
    end
    local ok, said = pcall(rep, piece, count, between)
    return ok and said or error((said:gsub("'%?'", "'rep'")), 2)
  end
  shared.format = function(fmt, ...)
    if type(fmt) == "string" and fmt:find("p", 1, true) and shows_address(fmt) then
      error("bad argument #1 to 'format' (addresses are not shown)", 2)
    end
    local args
    for i = 1, select("#", ...) do
      local kind = type((select(i, ...)))
      if kind ~= "string" and kind ~= "number" and kind ~= "nil" and kind ~= "boolean" then
        args = args or table.pack(...)
        args[i] = plain_tostring(args[i])
      end
    end
    local ok, said
    if args then
      ok, said = pcall(format, fmt, table.unpack(args, 1, args.n))
    else
      ok, said = pcall(format, fmt, ...)
    end
    return ok and said or error((said:gsub("'%?'", "'format'")), 2) -- at the caller's line, not at ours
  end
  getmetatable("").__metatable = "string"
end

--- Of a metatable: what depends on the collector's moods, what runs when a step is ended, what would let a table
--- pass for a value of ours, which is known by the name in its place.
local forbidden_events = { "__gc", "__mode", "__close", "__metatable" }

local function guarded_setmetatable(value, mt)
  if type(mt) == "table" then
    for _, event in ipairs(forbidden_events) do
      if rawget(mt, event) ~= nil then
        error(("setmetatable: '%s' is not for playbooks"):format(event), 2)
      end
    end
  end
  return setmetatable(value, mt)
end

local function copy(map)
  local result = {}
  for key, value in next, map do
    result[key] = value
  end
  return result
end

--- A whole number from low to high, each as likely: what does not divide evenly is drawn again.
local function draw(bytes, low, high)
  local width = high - low + 1
  if width <= 0 then -- all of them, or more than half: no multiple of it fits
    local word
    repeat
      word = string.unpack("<i8", bytes(8))
    until width == 0 or (word >= low and word <= high)
    return word
  end
  local most = math.maxinteger - (math.maxinteger % width + 1) % width
  local word
  repeat
    word = string.unpack("<I8", bytes(8)) & math.maxinteger
  until word <= most
  return low + word % width
end

--- math, with randomness of the run: `source.bytes(n)` gives n bytes, `source.seed(text)` begins anew.
local function build_math(source)
  local library = copy(math)
  function library.random(low, high)
    if low == nil then
      return (string.unpack("<I8", source.bytes(8)) >> 11) / (1 << 53)
    elseif low == 0 and high == nil then
      return (string.unpack("<i8", source.bytes(8)))
    elseif high == nil then
      low, high = 1, low
    end
    low, high = math.tointeger(low), math.tointeger(high)
    if not low or not high then
      error("bad argument to 'random' (whole numbers expected)", 2)
    elseif low > high then
      error("bad argument to 'random' (interval is empty)", 2)
    end
    return draw(source.bytes, low, high)
  end
  function library.randomseed(...)
    local seed = {}
    for i = 1, select("#", ...) do
      local part = select(i, ...)
      if type(part) ~= "number" and type(part) ~= "string" then
        error(("bad argument #%d to 'randomseed' (number expected, got %s)"):format(i, type(part)), 2)
      end
      seed[i] = tostring(part)
    end
    source.seed(table.concat(seed, ","))
  end
  return library
end

--- The names of the list above, without the API.
sandbox.basic = basic

local function undeclared(name, known, where)
  local err = errors.wrap(("undeclared global '%s'"):format(tostring(name)), where)
  err.hint = instead[name] or text.suggest(tostring(name), known) and text.nearest(tostring(name), known)
      and ("did you mean '%s'?"):format(text.nearest(tostring(name), known))
    or ("if it is a variable, write 'local %s = …'"):format(tostring(name))
  return err
end

--- What to write instead of an undeclared global.
---@param name string
---@param known string[]
function sandbox.hint(name, known)
  return undeclared(name, known).hint
end

--- Builds the environment that chunks of one playbook share.
---@class opsrun.SandboxOptions
---@field globals table the API
---@field require fun(name: string): any
---@field random {bytes: (fun(n: integer): string), seed: fun(seed: string)}
---@field where fun(): string?

---@param options opsrun.SandboxOptions
---@return table environment, string[] names every name it has, sorted
function sandbox.build(options)
  harden()
  local strings = copy(string)
  local names = {
    assert = assert,
    error = error,
    getmetatable = getmetatable,
    ipairs = ipairs,
    next = ordered.next,
    pairs = ordered.pairs,
    rawequal = rawequal,
    rawlen = rawlen,
    require = options.require,
    select = select,
    setmetatable = guarded_setmetatable,
    tonumber = tonumber,
    tostring = plain_tostring,
    type = type,
    _VERSION = _VERSION,
    math = freeze(build_math(options.random), "math"),
    string = freeze(strings, "string"),
    table = freeze(copy(table), "table"),
    utf8 = freeze(copy(utf8), "utf8"),
  }
  for name, value in next, options.globals or {} do
    names[name] = type(value) == "table" and freeze(value, name) or value
  end
  local known = text.keys(names)
  local where = options.where or function() end
  setmetatable(names, {
    __index = function(_, name)
      error(undeclared(name, known, where()), 0)
    end,
  })
  local environment = setmetatable({}, {
    __index = names,
    __newindex = function(_, name, _)
      if rawget(names, name) ~= nil then
        error(errors.wrap(("'%s' cannot be assigned: it belongs to opsrun"):format(tostring(name)), where()), 0)
      end
      local err = errors.wrap(("undeclared global '%s' is assigned"):format(tostring(name)), where())
      err.hint = ("write 'local %s = …'"):format(tostring(name))
      error(err, 0)
    end,
    __metatable = "globals",
  })
  return environment, known
end

return sandbox
