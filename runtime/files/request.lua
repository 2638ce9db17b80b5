--- What an author says of files, as a request for the host: paths made plain, options read. Pure.
local errors = require "runtime.errors"
local seconds_of = require "runtime.seconds"
local units = require "runtime.units"
local request = {}

local function misuse(verb, message)
  error(errors.wrap(("files.%s: %s"):format(verb, message)), 0)
end

--- An absolute path without ".", double and final slashes; ".." is refused: it may lead out.
function request.path(verb, path)
  if type(path) ~= "string" or path == "" or path:find "%z" then
    misuse(verb, ("expected a path, got %s"):format(type(path) == "string" and "''" or type(path)))
  elseif path:sub(1, 1) ~= "/" then
    misuse(verb, ("'%s' is no absolute path"):format(path))
  end
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part == ".." then
      misuse(verb, ("'%s': a path with '..' may lead anywhere"):format(path))
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return "/" .. table.concat(parts, "/")
end

--- One item of a change: a path, or an entry that a list gave, which must still be what it was.
local function item_of(verb, value)
  if type(value) == "table" and type(rawget(value, "path")) == "string" then
    return { path = request.path(verb, value.path), id = value.id, size = value.size, type = value.type }
  elseif type(value) == "string" then
    return { path = request.path(verb, value) }
  end
  misuse(verb, ("expected a path or an entry of files.list, got %s"):format(type(value)))
end

--- The items of a change, and whether they came as a list.
function request.items(verb, what)
  if type(what) == "string" or type(what) == "table" and rawget(what, "path") ~= nil then
    return { item_of(verb, what) }, false
  end
  local items = {}
  for i, value in ipairs(what) do
    items[i] = item_of(verb, value)
  end
  return items, true
end

local function seconds(verb, name, value)
  return value ~= nil and seconds_of(value, ("files.%s: %s"):format(verb, name)) or nil
end

local function bytes(verb, name, value)
  if value == nil then
    return nil
  end
  local size = units.size(value)
  if not size then
    misuse(verb, ("%s: '%s' is no size, such as 100mb or 4kb"):format(name, tostring(value)))
  end
  return size.bytes
end

local function whole(verb, name, value, least, most)
  if value == nil then
    return nil
  end
  local number = type(value) == "number" and math.tointeger(value)
  if not number or number < least or number > most then
    misuse(verb, ("%s: expected %d to %d, got %s"):format(name, least, most, tostring(value)))
  end
  return number
end

--- Permissions as "0640" or 416.
local function mode(verb, value)
  if type(value) == "string" and value:find "^[0-7]+$" then
    value = tonumber(value, 8)
  end
  return whole(verb, "mode", value, 0, 4095)
end

local sorts = { name = true, size = true, oldest = true, newest = true }

--- The options of a look or a change, read.
---@param verb string
---@param opts table
---@return table fields for host.fileops.run
function request.options(verb, opts)
  if opts.sort ~= nil and not sorts[opts.sort] then
    misuse(verb, ("sort: '%s' is none of name, size, oldest, newest"):format(tostring(opts.sort)))
  end
  if opts.pattern ~= nil and type(opts.pattern) ~= "string" then
    misuse(verb, ("pattern: expected a text such as '*.log', got %s"):format(type(opts.pattern)))
  end
  local fields = {
    timeout = seconds(verb, "timeout", opts.timeout),
    pattern = opts.pattern,
    recursive = (opts.recursive or opts.parents) and true or nil,
    any_type = opts.any_type and true or nil,
    older_than = seconds(verb, "older_than", opts.older_than),
    newer_than = seconds(verb, "newer_than", opts.newer_than),
    larger_than = bytes(verb, "larger_than", opts.larger_than),
    sort = opts.sort,
    limit = whole(verb, "limit", opts.limit, 1, 100000) or whole(verb, "lines", opts.lines, 1, 100000),
    cap = bytes(verb, "cap", opts.cap),
    mode = mode(verb, opts.mode),
    level = whole(verb, "level", opts.level, 1, 9),
    size = bytes(verb, "to", opts.to),
    keep = opts.keep and true or nil,
    create = opts.create and true or nil,
  }
  if verb == "compress" then
    fields.held = opts.open and true or nil
  elseif opts.open ~= nil then
    fields.open = opts.open and true or false
  end
  return fields
end

--- "3.4mb", "812b": short, for a person.
function request.size_words(size)
  for _, unit in ipairs { { "tb", 1 << 40 }, { "gb", 1 << 30 }, { "mb", 1 << 20 }, { "kb", 1 << 10 } } do
    if size >= unit[2] then
      return ("%.1f%s"):format(size / unit[2], unit[1])
    end
  end
  return ("%db"):format(size)
end

--- The directory that all items lie below.
function request.common(items)
  local common
  for _, item in ipairs(items) do
    local directory = item.path:match "^(.*)/[^/]*$"
    common = common or directory
    while (directory .. "/"):sub(1, #common + 1) ~= common .. "/" do
      common = common:match "^(.*)/[^/]*$"
    end
  end
  return common == "" and "/" or common or "/"
end

return request
