--- What the names of a statement stand for on this server. Facts are read on the statement's own
--- kind of session and kept for the run, until a change may have altered them.
local bind = require "runtime.sql.bind"
local facts = require "runtime.sql.facts"
local judge = require "runtime.sql.judge"
local libraries = require "runtime.sql.libraries"
local refused = require "runtime.sql.refused"
local reviewed = require "runtime.sql.reviewed"

local catalogue = {}

--- An empty memory for one named connection.
function catalogue.new()
  return { base = nil, passed = {} }
end

local function to_set(list)
  local set = {}
  for _, name in ipairs(list or {}) do
    set[name] = true
  end
  return set
end

--- Runs one statement of ours with nothing but pg_catalog on the path.
---@return table? rows
---@return table? err
function catalogue.ask(conn, item)
  local results, err = conn:run({
    { "BEGIN READ ONLY" },
    { facts.narrow },
    { facts.no_jit },
    item,
    "sync",
    { "ROLLBACK" },
  }, { timeout = 30, max_rows = 100000 })
  if not results then
    return nil, err
  end
  return results[4].rows
end

local function read_base(conn, memory)
  local results, err = conn:run { { facts.path } }
  if not results then
    return nil, err
  end
  local path = results[1].rows[1].path
  local rows
  rows, err = catalogue.ask(conn, { facts.base, bind.names(path), n = 1 })
  if not rows then
    return nil, err
  end
  local base = { path = path }
  for _, row in ipairs(rows) do
    base[row.kind] = to_set(row.names)
    if row.kind == "cast" then
      base.casts = row.names
    end
  end
  memory.base = base
  return base
end

--- What the session's path holds that the server did not bring; read once.
---@return table? base, table? err
function catalogue.base(conn, memory)
  if memory.base then
    return memory.base
  end
  return read_base(conn, memory)
end

--- Is a function of a known extension one that was reviewed?
local function is_of_library(fact)
  if (fact.language == "sql" or fact.language == "internal") and fact.bootstrap and fact.extension then
    for _, library in pairs(libraries) do
      if library.sql and library.extension == fact.extension then
        return true
      end
    end
  end
  local library = fact.language == "c" and libraries[fact.library]
  if not library then
    return false
  elseif library.only then
    return library.only[fact.name] or false
  end
  return not (library.except and library.except[fact.name])
end

local where = {
  ["function"] = "",
  operator = ", the meaning of operator '%s' on this search path",
  type = ", which type '%s' runs",
  cast = ", which a cast of '%s' runs",
  domain = ", which domain '%s' checks with",
}

--- Why a fact speaks against the statement, or nil.
function catalogue.objection(fact, trusted)
  if fact.kind == "foreign" then
    return ("'%s' is a foreign table: reading it talks to another server"):format(fact.subject)
  elseif fact.kind == "locking" then
    return ("view '%s' locks rows"):format(fact.subject)
  elseif fact.kind == "odd type" then
    return ("type '%s' cannot be followed"):format(fact.subject)
  elseif judge.is_trusted(trusted, fact.schema, fact.name) then
    return nil
  elseif fact.builtin then
    if reviewed.functions[fact.name] then
      return nil
    end
  elseif is_of_library(fact) then
    return nil
  end
  local full = fact.schema .. "." .. fact.name
  local context = where[fact.kind] or (", which the %s '%%s' runs"):format(fact.kind)
  local reason = fact.builtin and (refused[fact.name] or "is not on the reviewed list")
    or "is outside pg_catalog and could do anything"
  return ("function '%s'%s %s"):format(full, context:format(fact.subject), reason)
end

local function add_pair(lists, pair)
  lists[1][#lists[1] + 1] = pair[1]
  lists[2][#lists[2] + 1] = pair[2]
end

--- Splits names into those with and without a schema, leaving out what `skip` says.
local function split(list, skip)
  local plain, with_schema = {}, { {}, {} }
  for _, entry in ipairs(list) do
    if not entry[1] then
      if not skip(entry[2]) then
        plain[#plain + 1] = entry[2]
      end
    elseif entry[1] ~= "pg_catalog" and entry[1] ~= "information_schema" then
      add_pair(with_schema, entry)
    end
  end
  return plain, with_schema
end

local function intersect(names, set)
  local found = {}
  for name in pairs(names) do
    if set[name] then
      found[#found + 1] = name
    end
  end
  table.sort(found)
  return found
end

--- What of the statement the base facts leave open, as the values of facts.follow; nil when nothing.
local function open_questions(verdict, base)
  local called = {}
  for name in pairs(verdict.functions) do
    called[name] = true
  end
  for name in pairs(verdict.fields) do
    called[name] = true
  end
  local functions = intersect(called, base["function"])
  local operators = intersect(verdict.operators, base.operator)
  local qualified = { {}, {} }
  for _, pair in ipairs(verdict.qualified) do
    add_pair(qualified, pair)
  end
  local types, qualified_types = split(verdict.types, function(name)
    return not base.type[name]
  end)
  for name in pairs(verdict.functions) do -- name(x) may be a cast to a type of that name
    if base.type[name] then
      types[#types + 1] = name
    end
  end
  local relations, qualified_relations = split(verdict.relations, function(name)
    return not base.relation[name]
  end)
  local lists = {
    base.path, functions, qualified[1], qualified[2], operators, types, qualified_types[1],
    qualified_types[2], relations, qualified_relations[1], qualified_relations[2],
  }
  local item, key, open = { facts.follow, n = #lists }, {}, next(base.comparison) ~= nil
  for i, list in ipairs(lists) do
    item[i + 1] = bind.names(list)
    key[i] = item[i + 1]
    open = open or (i > 1 and #list > 0)
  end
  return open and item or nil, table.concat(key, " ")
end

--- Names that the base facts alone refuse.
local function base_objection(verdict, base, trusted)
  if base.casts and #base.casts > 0 then
    return ("the database changes what a built-in cast does: %s"):format(base.casts[1])
  end
  for _, name in ipairs(intersect(verdict.fields, base.volatile)) do
    if not reviewed.functions[name] and not trusted[name] then
      return ("'.%s' may call the function of that name, which is not on the reviewed list"):format(name)
    end
  end
  local unknown = {}
  for name in pairs(verdict.functions) do
    if not reviewed.functions[name] and not base["function"][name] and not trusted[name] then
      unknown[#unknown + 1] = name
    end
  end
  table.sort(unknown)
  if unknown[1] then
    return ("function '%s' is not on the reviewed list"):format(unknown[1])
  end
end

--- A name that is both reviewed and somebody's own resolves by argument types: every candidate counts.
local function unreviewed_builtin(verdict, rows, trusted)
  local found = {}
  for _, row in ipairs(rows) do
    if row.kind == "function" then
      found[row.name] = true
    end
  end
  for name in pairs(verdict.functions) do
    if not reviewed.functions[name] and not found[name] and not trusted[name] then
      return ("function '%s' is not on the reviewed list"):format(name)
    end
  end
end

--- Proves that the statement's names mean what the review assumed.
---@param conn userdata a connection that is free
---@param memory table from catalogue.new, shared by the connections of one name
---@param verdict opsrun.SqlVerdict without a problem of its own
---@param trusted table set of function names the environment vouches for
---@return string? problem nil when it is proved
---@return table? err of the server, when it could not be asked
function catalogue.check(conn, memory, verdict, trusted)
  local base, err = catalogue.base(conn, memory)
  if not base then
    return nil, err
  end
  local problem = base_objection(verdict, base, trusted)
  if problem then
    return problem
  end
  local item, key = open_questions(verdict, base)
  if not item or memory.passed[key] then
    return nil
  end
  local rows
  rows, err = catalogue.ask(conn, item)
  if not rows then
    return nil, err
  end
  problem = unreviewed_builtin(verdict, rows, trusted)
  if problem then
    return problem
  end
  local problems = {}
  for _, fact in ipairs(rows) do
    problems[#problems + 1] = catalogue.objection(fact, trusted)
  end
  table.sort(problems)
  if not problems[1] then
    memory.passed[key] = true
  end
  return problems[1]
end

--- Forgets everything: a change may have made or replaced anything.
function catalogue.forget(memory)
  memory.base, memory.passed = nil, {}
end

return catalogue
