--- What playbooks call, built from the effect rows: sql "primary":query(…), http.get(…), confirm(…).
--- A face checks the arguments, finds the author's line and hands everything to the gate.
local effects = require "runtime.effects"
local errors = require "runtime.errors"
local gate = require "runtime.gate"
local text = require "runtime.text"
local units = require "runtime.units"
local faces = {}

--- Type names of rows -> how a value is recognised.
local checks = {
  string = function(v)
    return type(v) == "string"
  end,
  table = function(v)
    return type(v) == "table"
  end,
  list = function(v)
    return type(v) == "table"
  end,
  number = function(v)
    return type(v) == "number"
  end,
  ["function"] = function(v)
    return type(v) == "function"
  end,
  boolean = function(v)
    return type(v) == "boolean"
  end,
  duration = function(v)
    return (type(v) == "number" and v >= 0) or units.is_duration(v) or (type(v) == "string" and units.duration(v) ~= nil)
  end,
  any = function()
    return true
  end,
}

local function fits(value, wanted)
  local optional = wanted:sub(-1) == "?"
  if optional then
    wanted = wanted:sub(1, -2)
  end
  if value == nil then
    return optional
  end
  for alternative in wanted:gmatch "[^|]+" do
    local check = checks[alternative]
    if not check or check(value) then
      return true
    end
  end
  return false
end

--- A value in a message: its type, or itself where the type would not say what is wrong with it.
local function described(value, wanted)
  if wanted:find "duration" and (type(value) == "string" or type(value) == "number") then
    return ("'%s'"):format(tostring(value))
  end
  return type(value)
end

local function misuse(label, message, hint, where)
  error(errors.wrap(("%s: %s%s"):format(label, message, hint and (" (" .. hint .. ")") or ""), where), 0)
end

--- Is the last argument of a call with any number of them its options? A table with names, and no list.
local function is_options(value)
  return type(value) == "table" and getmetatable(value) == nil and next(value) ~= nil and #value == 0
end

--- An iterator over pages: each is fetched through the gate when the one before is used up. A page is
--- {items = flat list, width = how many of them a turn gives, more = where the next one begins}.
local function iterate(row, call, at)
  local page, items, position, width, count = nil, nil, 0, 1, 0
  return function()
    while position >= count do
      if page and not page.more then
        return nil
      end
      call.more = page and page.more
      page = gate.call(row.kind, call, at)
      items, position, width, count = page.items, 0, page.width, #page.items
    end
    position = position + width
    if width == 1 then
      return items[position]
    end
    return table.unpack(items, position - width + 1, position)
  end
end

--- The options a row takes, as a set.
local function option_set(row)
  local set, names = {}, {}
  for _, list in ipairs { row.options or {}, effects.common } do
    for _, name in ipairs(list) do
      set[name], names[#names + 1] = true, name
    end
  end
  return set, names
end

--- Calls fn; what it raises happened at the author's line. Its first two results.
local function at_line(line, fn, ...)
  local ok, result, more = pcall(fn, ...)
  if not ok then
    result = errors.wrap(result)
    result.where = result.where or line
    error(result, 0)
  end
  return result, more
end

--- An iterator whose every step is an effect of the kind `row.each`.
local function iterating(row, where)
  local open = require("runtime." .. row.module .. ".pure")[row.verb]
  return function(call, at)
    local stepper, why = open(call.name, call[1], call.opts)
    if not stepper then
      misuse(row.label, why, nil, at)
    end
    return function()
      local line = where()
      local args = at_line(line, stepper.ask)
      return args and at_line(line, stepper.take, gate.call(row.each, args, line))
    end
  end
end

--- What a row's function does with checked arguments: an effect passes the gate; what only computes
--- is done here, also while the playbook loads.
local function performer(row, to_handle, where)
  if row.each then
    return iterating(row, where)
  elseif row.class ~= "pure" then
    return function(call, at)
      return row.pages and iterate(row, call, at) or gate.call(row.kind, call, at)
    end
  end
  local compute = require("runtime." .. row.module .. ".pure")[row.verb]
  return function(call, at)
    local result, why = at_line(at, compute, call.name, table.unpack(call, 1, call.n or #row.params))
    if why then
      misuse(row.label, why, nil, at)
    end
    return row.returns == "handle" and to_handle(result) or result
  end
end

--- Leaves an optional argument out where the next one stands in its place: db:each(text, fn).
local function skip_missing(args, at, param, following)
  local left_out = following and param[2]:sub(-1) == "?" and not fits(args[at], param[2]) and fits(args[at], following[2])
  if left_out then
    table.move(args, at, args.n, at + 1)
    args[at], args.n = nil, args.n + 1
  end
end

--- Builds the function behind one row.
---@param row opsrun.EffectRow
---@param where fun(): string? the author's line
---@param to_handle fun(name: string): table
local function build(row, where, to_handle)
  local perform = performer(row, to_handle, where)
  local label = row.label
  local known, names = option_set(row)
  local positional, with_opts, variadic = {}, false, false
  for _, param in ipairs(row.params) do
    if param[1] == "opts" then
      with_opts = true
    elseif param[1] == "..." then
      variadic = true
    else
      positional[#positional + 1] = param
    end
  end
  local function check_opts(opts, at)
    if opts ~= nil and type(opts) ~= "table" then
      misuse(label, ("opts: expected a table, got %s"):format(type(opts)), nil, at)
    end
    for name in pairs(opts or {}) do
      if not known[name] then
        local near = text.nearest(tostring(name), names)
        misuse(
          label,
          ("unknown option '%s'"):format(tostring(name)),
          near and ("did you mean '%s'?"):format(near) or ("it takes: " .. table.concat(names, ", ")),
          at
        )
      end
    end
    return opts or {}
  end
  return function(name, ...)
    local at = where()
    local args = table.pack(...)
    local call = { name = name, opts = {} }
    for i, param in ipairs(positional) do
      skip_missing(args, i, param, positional[i + 1])
      if not fits(args[i], param[2]) then
        misuse(
          label,
          ("'%s': expected %s, got %s"):format(param[1], param[2]:gsub("%?$", ""), described(args[i], param[2])),
          nil,
          at
        )
      end
      call[i] = args[i]
    end
    if variadic then
      if with_opts and is_options(args[args.n]) then
        call.opts = check_opts(args[args.n], at)
        args.n = args.n - 1
      end
      for i = #positional + 1, args.n do
        call[i] = args[i]
      end
      call.n = args.n
    elseif with_opts then
      call.opts = check_opts(args[#positional + 1], at)
    end
    if not variadic and args.n > #positional + (with_opts and 1 or 0) then
      misuse(label, ("takes %d arguments, got %d"):format(#positional + (with_opts and 1 or 0), args.n), nil, at)
    end
    return perform(call, at)
  end
end

local function raise_unknown_method(module, key, methods, where)
  local names = {}
  for name in pairs(methods) do
    names[#names + 1] = name
  end
  table.sort(names)
  local near = text.nearest(tostring(key), names)
  misuse(
    module,
    ("has no method '%s'"):format(tostring(key)),
    near and ("did you mean ':%s'?"):format(near) or ("it has: " .. table.concat(names, ", ")),
    where
  )
end

--- What to say of names that one may expect and that are somewhere else.
local elsewhere = "secrets that are there are named by the environment: a connection's field, or the value of a parameter of type secret"
local instead = { ["secret.env"] = elsewhere, ["secret.file"] = elsewhere, ["secret.command"] = elsewhere, ["secret.prompt"] = elsewhere }

local function raise_unknown_function(module, key, library, where)
  local label = module .. "." .. tostring(key)
  local names = text.keys(library)
  local near = text.nearest(tostring(key), names)
  local hint = instead[label] or near and ("did you mean '%s.%s'?"):format(module, near) or ("it has: " .. table.concat(names, ", "))
  error(errors.wrap(("there is no '%s' (%s)"):format(label, hint), where), 0)
end

local function make_handle_type(module, where, nameless)
  local methods = {}
  return methods,
    function(name)
      if name == nil and nameless then
        name = ""
      end
      if type(name) == "table" and getmetatable(name) == module then
        return name
      end
      if type(name) ~= "string" then
        misuse(module, ("expected the name of a connection, got %s"):format(type(name)), nil, where())
      end
      return setmetatable({ name = name }, {
        __index = function(_, key)
          local any = methods.__any and type(key) == "string" and key:find "^%a[%w_]*$" and methods.__any(key)
          return methods[key] or any or raise_unknown_method(module, key, methods, where())
        end,
        __call = function(self, ...)
          return methods.__call(self, ...)
        end,
        __tostring = function()
          return name
        end,
        __json = function()
          return name
        end,
        __metatable = module,
      })
    end
end

--- Puts what one row gives where playbooks find it: among the globals, in its handle, in its library.
local function place(row, module, globals, where)
  if row.face == "value" then
    module.library[row.verb] = require("runtime." .. row.module .. ".pure")[row.verb]
    return
  end
  row.label = row.face == "global" and row.verb
    or row.face == "handle" and (row.module .. ":" .. row.verb)
    or row.face == "call" and row.module
    or (row.module .. "." .. row.verb)
  local call = build(row, where, module and module.handle)
  local function named(self, ...)
    return call(self.name, ...)
  end
  local function nameless(...)
    return call(nil, ...)
  end
  if row.face == "global" then
    globals[row.verb] = nameless
  end
  if row.face == "handle" or row.face == "both" then
    module.methods[row.verb] = named
  end
  if row.any_method then
    module.methods.__any = function(key)
      return function(self, ...)
        return call(self.name, key, ...)
      end
    end
  end
  if row.face == "call" then
    module.methods.__call = named
  end
  if row.face == "library" or row.face == "both" then
    module.library[row.verb] = nameless
  end
end

--- The functions for the sandbox: a table of globals.
---@param host table
function faces.build(host)
  local where = host.where
  local globals, modules = {}, {}
  for _, kind in ipairs(effects.kinds()) do
    local row = effects.row(kind)
    local module = modules[row.module]
    if not module and row.face ~= "global" then
      local methods, handle = make_handle_type(row.module, where, row.nameless)
      module = { methods = methods, handle = handle, library = {} }
      modules[row.module] = module
    end
    place(row, module, globals, where)
  end
  for name, module in pairs(modules) do
    local callable = next(module.methods) ~= nil
    if next(module.library) == nil then
      globals[name] = module.handle
    else
      -- An empty table in front: what a playbook assigns here must not reach stdlib.
      globals[name] = setmetatable({}, {
        __call = callable and function(_, handle_name)
          return module.handle(handle_name)
        end or nil,
        __index = function(_, key)
          return module.library[key] or raise_unknown_function(name, key, module.library, where())
        end,
        __newindex = function(_, key)
          misuse(name, ("'%s' cannot be assigned"):format(tostring(key)), nil, where())
        end,
        __metatable = name,
      })
    end
  end
  return globals
end

return faces
