--- Is this statement a read? First from its text alone, by PostgreSQL's own grammar: one SELECT, SHOW
--- or EXPLAIN of a SELECT, made of nodes we know, calling only what was reviewed. What the text cannot tell (what a
--- name stands for on this server) is collected, and answered by runtime/sql/catalogue.lua.
local grammar = require "runtime.sql.grammar"
local refused = require "runtime.sql.refused"
local reviewed = require "runtime.sql.reviewed"

local judge = {}

--- What a statement is made of, and the first reason why it is no proved read.
---@class opsrun.SqlVerdict
---@field problem string?    why it is refused; nil when its text alone has nothing against it
---@field kind string        "SelectStmt", "VariableShowStmt", "ExplainStmt", "UpdateStmt" …; "" for several
---@field functions table    set of unqualified function names that were called
---@field qualified table    list of {schema, name} of functions called with a schema
---@field fields table       set of names behind a dot: columns, or functions in attribute notation
---@field operators table    set of operator names, with those the grammar implies
---@field types table        list of {schema or false, name}
---@field relations table    list of {schema or false, name}
---@field ctes table         set of names of WITH
---@field declared table     list of functions the environment vouches for
---@field parameters integer the highest $n
---@field also table?        node types and fields that count as known beside those of a read

local implied_operators = { "=", "<>", "<", ">", "<=", ">=" }

local function strings(list)
  local names = {}
  for i, node in ipairs(list) do
    names[i] = node.String and node.String.sval or "*"
  end
  return names
end

--- Does the environment vouch for this function? By its name, or by schema and name.
---@param trusted table set of names
function judge.is_trusted(trusted, schema, name)
  return trusted[name] or (schema and trusted[schema .. "." .. name]) or false
end

--- Is there an entry for the name in any schema? Which schema is meant, the catalogue tells.
local function may_be_trusted(trusted, name)
  if trusted[name] then
    return true
  end
  for entry in pairs(trusted) do
    if entry:match "^[^.]+%.(.+)$" == name then
      return true
    end
  end
  return false
end

--- Of several reasons the first by its text is told, so that the same statement always says the same.
local function stop(verdict, reason)
  if not verdict.problem or reason < verdict.problem then
    verdict.problem = reason
  end
end

local function collect_function(verdict, list, trusted)
  local names = strings(list)
  local name, schema = names[#names], names[#names - 1]
  local vouched = schema and judge.is_trusted(trusted, schema, name) or not schema and may_be_trusted(trusted, name)
  if vouched then
    verdict.declared[#verdict.declared + 1] = table.concat(names, ".")
  elseif refused[name] and (not schema or schema == "pg_catalog") then
    stop(verdict, ("function '%s' %s"):format(name, refused[name]))
  elseif schema == "pg_catalog" and not reviewed.functions[name] then
    stop(verdict, ("function '%s' is not on the reviewed list"):format(name))
  end
  if #names > 2 then
    stop(verdict, ("function '%s' is named with a database"):format(table.concat(names, ".")))
  end
  if schema and schema ~= "pg_catalog" then
    verdict.qualified[#verdict.qualified + 1] = { schema, name }
  else
    verdict.functions[name] = true
  end
end

--- Names behind a dot. `t.fn` and `(expr).fn` call a function when there is no such column.
local function collect_field(verdict, name, trusted)
  if refused[name] and not may_be_trusted(trusted, name) then
    stop(verdict, ("'.%s' calls the function of that name, which %s"):format(name, refused[name]))
  end
  verdict.fields[name] = true
end

local collectors = {}

function collectors.func(verdict, value, _, trusted)
  collect_function(verdict, value, trusted)
end

function collectors.operator(verdict, value)
  local names = strings(value)
  if #names > 1 and names[1] ~= "pg_catalog" then
    stop(verdict, ("operator '%s' is outside pg_catalog"):format(table.concat(names, ".")))
  end
  verdict.operators[names[#names]] = true
end

function collectors.type(verdict, value)
  local names = strings(value)
  if #names > 2 then
    stop(verdict, ("type '%s' is named with a database"):format(table.concat(names, ".")))
  end
  verdict.types[#verdict.types + 1] = { #names > 1 and names[#names - 1] or false, names[#names] }
end

function collectors.relation(verdict, value, owner)
  verdict.relations[#verdict.relations + 1] = { owner.schemaname or false, value }
end

function collectors.cte(verdict, value)
  verdict.ctes[value] = true
end

function collectors.parameter(verdict, value)
  verdict.parameters = math.max(verdict.parameters, value)
end

function collectors.sampling(verdict, value)
  local name = table.concat(strings(value), ".")
  if name ~= "system" and name ~= "bernoulli" then
    stop(verdict, ("sampling method '%s' is not on the reviewed list"):format(name))
  end
  verdict.functions[name] = true -- it is a function's name
end

local visit_node

function collectors.columns(verdict, value, _, trusted)
  for i = 2, #value do
    if value[i].String then
      collect_field(verdict, value[i].String.sval, trusted)
    end
  end
end

function collectors.indirection(verdict, value, _, trusted)
  for _, node in ipairs(value) do
    if node.String then
      collect_field(verdict, node.String.sval, trusted)
    else
      visit_node(verdict, node, trusted)
    end
  end
end

local function visit_fields(verdict, kind, node, trusted)
  local known = verdict.also and verdict.also[kind] or grammar[kind]
  for field, value in pairs(node) do
    local how = known[field]
    if not how then
      stop(verdict, ("the grammar has '%s.%s', which is not known here"):format(kind, field))
    elseif how:sub(1, 1) == "!" then
      stop(verdict, how:sub(2))
    elseif how == "node" then
      visit_node(verdict, value, trusted)
    elseif how == "list" then
      for _, item in ipairs(value) do
        visit_node(verdict, item, trusted)
      end
    elseif collectors[how] then
      collectors[how](verdict, value, node, trusted)
    elseif how ~= "plain" then
      visit_fields(verdict, how, value, trusted)
    end
  end
end

local function statement_name(kind)
  local name = kind:gsub("Stmt$", ""):gsub("(%l)(%u)", "%1 %2")
  return name:upper()
end

function visit_node(verdict, node, trusted)
  if type(node) ~= "table" then
    return
  end
  local kind, fields = next(node)
  if kind == nil then
    return -- an empty place in a list: the second argument nobody gave
  end
  if not grammar[kind] and not (verdict.also and verdict.also[kind]) then
    local reason = kind:match "Stmt$" and ("%s changes something"):format(statement_name(kind))
      or ("the grammar has '%s', which is not known here"):format(kind)
    stop(verdict, reason)
    return
  end
  visit_fields(verdict, kind, fields, trusted)
end

local function new_verdict()
  local operators = {}
  for _, name in ipairs(implied_operators) do
    operators[name] = true
  end
  return {
    kind = "",
    functions = {},
    qualified = {},
    fields = {},
    operators = operators,
    types = {},
    relations = {},
    ctes = {},
    declared = {},
    parameters = 0,
  }
end

local explained = {
  analyze = true, buffers = true, costs = true, format = true, generic_plan = true, settings = true, summary = true,
  timing = true, verbose = true, wal = true,
}

--- What EXPLAIN explains: to plan a read runs no more than the read would, and with ANALYZE it is the read.
local function inspect_explain(verdict, node, trusted)
  for _, option in ipairs(node.options or {}) do
    local name = option.DefElem and option.DefElem.defname
    if not explained[name] then
      stop(verdict, ("EXPLAIN with option '%s' is not known here"):format(name))
    end
  end
  local kind, query = next(node.query)
  if kind ~= "SelectStmt" then
    stop(verdict, ("EXPLAIN of %s is not EXPLAIN of a SELECT"):format(statement_name(kind)))
    return
  end
  visit_fields(verdict, kind, query, trusted)
end

--- Judges a parse tree (libpg_query's JSON, decoded).
---@param tree table
---@param trusted table? set of function names the environment vouches for
---@return opsrun.SqlVerdict
function judge.inspect(tree, trusted)
  local verdict = new_verdict()
  trusted = trusted or {}
  local statements = tree.stmts or {}
  if #statements ~= 1 then
    stop(verdict, #statements == 0 and "the statement is empty" or "several statements in one text")
    return verdict
  end
  local kind, node = next(statements[1].stmt)
  verdict.kind = kind
  if kind == "VariableShowStmt" then
    return verdict
  elseif kind == "ExplainStmt" then
    inspect_explain(verdict, node, trusted)
    return verdict
  end
  if kind ~= "SelectStmt" then
    stop(verdict, ("%s is not a SELECT, SHOW or EXPLAIN of a SELECT"):format(statement_name(kind)))
    return verdict
  end
  visit_fields(verdict, kind, node, trusted)
  return verdict
end

--- The same of a statement that is no read: what it is made of, by a larger grammar.
---@param tree table of one statement
---@param trusted table
---@param also table node types and fields beside those of a read
---@return opsrun.SqlVerdict
function judge.examine(tree, trusted, also)
  local verdict = new_verdict()
  verdict.also = also
  local kind, node = next(tree.stmts[1].stmt)
  verdict.kind = kind
  visit_fields(verdict, kind, node, trusted)
  return verdict
end

--- The highest $n of any parse tree, and the names of all functions called in it.
function judge.survey(tree)
  local highest, functions = 0, {}
  local function walk(value)
    if type(value) ~= "table" then
      return
    end
    if type(value.ParamRef) == "table" then
      highest = math.max(highest, value.ParamRef.number or 0)
    end
    if type(value.FuncCall) == "table" and value.FuncCall.funcname then
      local names = strings(value.FuncCall.funcname)
      functions[names[#names]] = true
    end
    for _, child in pairs(value) do
      walk(child)
    end
  end
  walk(tree)
  return highest, functions
end

return judge
