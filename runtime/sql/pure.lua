--- What of sql is no effect: texts with identifiers and literals in them, and the handle of another
--- database. Each function returns its result, or nil and what is wrong with the call.
local units = require "runtime.units"
local pure = {}

--- "primary", "scratch" -> "primary/scratch"
function pure.database(name, database)
  if database == "" or database:find "[%z]" then
    return nil, "expected the name of a database"
  end
  return name:match "^[^/]+" .. "/" .. database
end

--- A name as an identifier, always quoted: whatever it holds, it stays one name.
local function identifier(value)
  if type(value) ~= "string" or value == "" then
    return nil, ("expected a name, got %s"):format(value == "" and "an empty text" or type(value))
  end
  return '"' .. value:gsub('"', '""') .. '"'
end

local function plain_text(value)
  local kind = type(value)
  if kind == "string" or math.type(value) == "integer" then
    return tostring(value)
  elseif kind == "number" then
    return ("%.17g"):format(value)
  elseif kind == "boolean" then
    return value and "true" or "false"
  elseif units.is_duration(value) then
    return ("%.17g seconds"):format(value.seconds)
  elseif units.is_size(value) then
    return ("%d"):format(value.bytes)
  elseif kind == "userdata" and tostring(value):find "^‹secret:" then
    return nil, "a secret cannot stand in a statement: bind it, $1"
  end
  return nil, ("a %s cannot stand in a statement"):format(kind)
end

--- A value as a literal. A backslash needs the E form, whatever standard_conforming_strings says.
local function literal(value)
  if value == nil or tostring(value) == "null" and type(value) == "userdata" then
    return "NULL"
  end
  local text, why = plain_text(value)
  if not text then
    return nil, why
  end
  text = text:gsub("'", "''")
  if text:find("\\", 1, true) then
    return " E'" .. text:gsub("\\", "\\\\") .. "'"
  end
  return "'" .. text .. "'"
end

local forms = { I = identifier, L = literal, s = plain_text }

--- sql.format("SELECT count(*) FROM %I.%I", schema, name)
function pure.format(_, text, ...)
  local given, at, problem = table.pack(...), 0, nil
  local result = text:gsub("%%(.?)", function(form)
    if form == "%" then
      return "%"
    elseif not forms[form] then
      problem = problem or ("'%%%s' is none of %%I, %%L, %%s, %%%%"):format(form)
      return nil
    end
    at = at + 1
    if at > given.n then
      problem = problem or ("'%%%s' number %d has no value"):format(form, at)
      return nil
    end
    local quoted, why = forms[form](given[at])
    if quoted and quoted:find "%z" then
      quoted, why = nil, "it holds a NUL byte"
    end
    problem = problem or why and ("value %d: %s"):format(at, why)
    return quoted
  end)
  if not problem and at < given.n then
    problem = ("%d values, but the text takes %d"):format(given.n, at)
  end
  if problem then
    return nil, problem
  end
  return result
end

return pure
