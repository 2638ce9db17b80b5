--- A form with files, as multipart/form-data (RFC 7578). Pure: what a file holds is handed in.
---   form = { title = "Dump", dump = { file = "/backup/app.dump", type = "application/gzip", name = "app.dump" } }
local text = require "runtime.text"
local multipart = {}

local fields = { "file", "name", "type" }
local default_type = "application/octet-stream"

local function is_file(value)
  return type(value) == "table" and getmetatable(value) == nil and value.file ~= nil
end

--- A name inside quotes: what would end it, or the line, is written as browsers do.
local function quoted(name)
  return '"' .. name:gsub('[\r\n"]', { ["\r"] = "%0D", ["\n"] = "%0A", ['"'] = "%22" }) .. '"'
end

local function file_part(name, value)
  for key in pairs(value) do
    if not text.has(fields, key) then
      return nil, ("'%s': unknown field '%s' of a file (%s)"):format(name, tostring(key), text.suggest(tostring(key), fields, "it takes"))
    end
  end
  local kind, called = value.type or default_type, value.name or tostring(value.file):match "[^/]*$"
  if type(value.file) ~= "string" or value.file == "" then
    return nil, ("'%s': file: expected a path, got %s"):format(name, type(value.file))
  elseif type(kind) ~= "string" or not kind:find "^[%w!#$&^_.+-]+/[%w!#$&^_.+-]+[%w =;\"._-]*$" then
    return nil, ("'%s': type: '%s' is no media type"):format(name, tostring(kind))
  elseif type(called) ~= "string" or called == "" or called:find "%c" then
    return nil, ("'%s': name: expected the name of a file"):format(name)
  end
  return { name = name, file = value.file, type = kind, called = called }
end

--- Has the form a file in it? Then it cannot be sent as a query is written.
---@param form table
function multipart.has_files(form)
  for _, value in pairs(form) do
    if is_file(value) or type(value) == "table" and getmetatable(value) == nil and is_file(value[1]) then
      return true
    end
  end
  return false
end

--- The form's parts, names sorted: {name, value} or {name, file, type, called}.
---@return table[]? parts
---@return string? why there are none
function multipart.parts(form)
  local parts = {}
  for _, name in ipairs(text.keys(form)) do
    local value = form[name]
    local is_list = type(value) == "table" and getmetatable(value) == nil and not is_file(value)
    for _, item in ipairs(is_list and value or { value }) do
      local part, why = { name = name, value = tostring(item) }, nil
      if is_file(item) then
        part, why = file_part(name, item)
      elseif type(item) == "table" and getmetatable(item) == nil then
        part, why = nil, ("'%s': expected texts, numbers and { file = … }"):format(name)
      end
      if not part then
        return nil, why
      end
      parts[#parts + 1] = part
    end
  end
  return parts
end

--- The body in pieces.
---@param parts table[]
---@param contents table<table, string> of the parts that are files
---@param boundary string that no content holds: random
---@return string[] pieces
function multipart.compose(parts, contents, boundary)
  local pieces = {}
  for _, part in ipairs(parts) do
    local head = ('--%s\r\nContent-Disposition: form-data; name=%s'):format(boundary, quoted(part.name))
    if part.file then
      head = ("%s; filename=%s\r\nContent-Type: %s"):format(head, quoted(part.called), part.type)
    end
    pieces[#pieces + 1] = head .. "\r\n\r\n"
    pieces[#pieces + 1] = part.file and contents[part] or part.value
    pieces[#pieces + 1] = "\r\n"
  end
  pieces[#pieces + 1] = ("--%s--\r\n"):format(boundary)
  return pieces
end

return multipart
