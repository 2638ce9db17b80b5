--- May this change be made inside a transaction that is rolled back, and leave nothing? First from its text, then
--- from what the catalogue says it would set in motion. What is rolled back is data and definitions; what a
--- function does elsewhere, what a sequence gave away and what another session was told is not.
local bind = require "runtime.sql.bind"
local catalogue = require "runtime.sql.catalogue"
local grammar = require "runtime.sql.rehearse_grammar"
local judge = require "runtime.sql.judge"
local rehearse_facts = require "runtime.sql.rehearse_facts"

local rehearse_judge = {}

--- Bits of pg_trigger.tgtype.
local INSERT, DELETE, UPDATE, TRUNCATE = 4, 8, 16, 32

local merges = { CMD_INSERT = INSERT, CMD_UPDATE = UPDATE, CMD_DELETE = DELETE }

--- Statements that write rows: what they do to their target.
local writes = {
  InsertStmt = function(node)
    local conflict = node.onConflictClause
    return INSERT | (conflict and conflict.action == "ONCONFLICT_UPDATE" and UPDATE or 0)
  end,
  UpdateStmt = function()
    return UPDATE
  end,
  DeleteStmt = function()
    return DELETE
  end,
  MergeStmt = function(node)
    local does = 0
    for _, item in ipairs(node.mergeWhenClauses) do
      does = does | (merges[item.MergeWhenClause.commandType] or 0)
    end
    return does
  end,
  TruncateStmt = function()
    return TRUNCATE
  end,
}

local function words(text)
  local set = {}
  for word in text:gmatch "%S+" do
    set[word] = true
  end
  return set
end

local tables = words "OBJECT_TABLE"
local named = words "OBJECT_TABLE OBJECT_COLUMN OBJECT_INDEX OBJECT_TABCONSTRAINT OBJECT_VIEW OBJECT_SEQUENCE OBJECT_SCHEMA"
local methods = words "btree hash gin gist brin spgist"
local alterations = words [[AT_AddColumn AT_DropColumn AT_ColumnDefault AT_SetNotNull AT_DropNotNull AT_AddConstraint
  AT_DropConstraint AT_ValidateConstraint AT_SetStatistics AT_SetRelOptions AT_ResetRelOptions AT_AlterColumnType]]

--- Definitions: what of them may be rehearsed; returns a reason against it.
local definitions = {}

function definitions.CreateStmt(node)
  if node.relation.relpersistence ~= "p" then
    return "a table that is not permanent ends with its session"
  end
end

function definitions.ViewStmt(node)
  if node.view.relpersistence ~= "p" then
    return "a view that is not permanent ends with its session"
  end
end

function definitions.AlterTableStmt(node)
  for _, item in ipairs(node.cmds) do
    local subtype = item.AlterTableCmd and item.AlterTableCmd.subtype
    if not alterations[subtype] then
      return ("this form of ALTER TABLE (%s) is not on the reviewed list"):format(tostring(subtype))
    end
  end
  return not tables[node.objtype] and "only tables are altered in a rehearsal" or nil
end

function definitions.IndexStmt(node)
  if not methods[node.accessMethod] then
    return ("access method '%s' is not on the reviewed list"):format(tostring(node.accessMethod))
  end
end

function definitions.DropStmt(node)
  return not named[node.removeType] and "what it drops is not on the reviewed list" or nil
end

function definitions.RenameStmt(node)
  return not named[node.renameType] and "what it renames is not on the reviewed list" or nil
end

function definitions.GrantStmt(node)
  local rows = node.objtype == "OBJECT_TABLE" or node.objtype == "OBJECT_SEQUENCE" or node.objtype == "OBJECT_SCHEMA"
  return not rows and "rights on this are not on the reviewed list" or nil
end

function definitions.CommentStmt(node)
  return not named[node.objtype] and "what it comments on is not on the reviewed list" or nil
end

function definitions.CreateSchemaStmt() end

--- The relations a statement writes to or alters, wherever in it, and what it does to them.
local function targets_of(tree)
  local found = { list = {}, does = 0, defaults = false, columns = {} }
  local function add(relation)
    found.list[#found.list + 1] = { relation.schemaname or false, relation.relname }
  end
  local function insert(node)
    local listed = node.cols and {} or nil
    for _, item in ipairs(node.cols or {}) do
      listed[item.ResTarget.name] = true
    end
    if not listed and node.selectStmt then
      found.unlisted = true
    end
    found.columns[#found.columns + 1] = listed or {}
  end
  local function walk(value)
    if type(value) ~= "table" then
      return
    end
    for kind, node in pairs(value) do
      if writes[kind] and type(node) == "table" then
        found.does = found.does | writes[kind](node)
        if kind == "TruncateStmt" then
          for _, item in ipairs(node.relations) do
            add(item.RangeVar)
          end
        else
          add(node.relation)
        end
        if kind == "InsertStmt" then
          insert(node)
        elseif kind == "MergeStmt" and writes.MergeStmt(node) & INSERT ~= 0 then
          found.columns[#found.columns + 1] = {} -- each of its INSERTs may leave out others: all count
        end
      elseif kind == "SetToDefault" then
        found.defaults = true
      elseif (kind == "AlterTableStmt" or kind == "IndexStmt") and type(node) == "table" then
        add(node.relation)
        found.index = true
      end
      walk(node)
    end
  end
  walk(tree)
  return found
end

--- What the text alone says.
---@param tree table? the parse tree
---@param trusted table set of names the environment vouches for
---@return string? problem
---@return table? verdict of judge.examine, with targets
function rehearse_judge.inspect(tree, trusted)
  if not tree then
    return "its grammar is not known here"
  end
  local kind, node = next(tree.stmts[1].stmt)
  if not writes[kind] and not definitions[kind] then
    return "only INSERT, UPDATE, DELETE, MERGE, TRUNCATE and reviewed definitions are rehearsed"
  end
  local verdict = judge.examine(tree, trusted, grammar)
  local problem = verdict.problem or definitions[kind] and definitions[kind](node)
  if problem then
    return problem
  end
  verdict.targets = targets_of(tree)
  verdict.defines = definitions[kind] ~= nil
  return nil, verdict
end

--- Is the default of this column asked for by the statement itself?
local function default_counts(verdict, fact)
  local targets = verdict.targets
  if not fact.direct or targets.defaults or targets.unlisted then
    return true
  end
  for _, listed in ipairs(targets.columns) do
    if not listed[fact.col] then
      return true
    end
  end
  return false
end

local kinds = { v = "view", m = "materialized view", f = "foreign table", S = "sequence", i = "index", I = "index" }

--- Facts that speak against the rehearsal whatever function they name.
local objections = {}

function objections.system(fact)
  return ("'%s' belongs to the server itself"):format(fact.subject)
end

function objections.target(fact)
  return ("'%s' is a %s, no table"):format(fact.subject, kinds[fact.col] or "relation")
end

function objections.identity(fact, verdict)
  if default_counts(verdict, fact) then
    return ("column '%s' of '%s' counts by a sequence, which a rollback does not move back"):format(fact.col, fact.subject)
  end
end

function objections.trigger(fact, _, trusted)
  if not judge.is_trusted(trusted, fact.schema, fact.name) then
    return ("trigger '%s' of '%s' runs function '%s.%s', which could do anything"):format(
      fact.col, fact.subject, fact.schema, fact.name)
  end
end

function objections.rule(fact)
  return ("rule '%s' of '%s' makes another statement of it"):format(fact.col, fact.subject)
end

function objections.event(fact)
  return ("event trigger '%s' runs at every definition"):format(fact.subject)
end

function objections.default(fact, verdict, trusted)
  if not default_counts(verdict, fact) then
    return nil
  elseif fact.builtin and fact.name == "nextval" then
    return ("the default of column '%s' of '%s' is nextval(…): it would move a sequence, which a rollback does not move back"):format(
      fact.col, fact.subject)
  end
  return catalogue.objection(
    setmetatable({ kind = "default of " .. fact.col .. " in" }, { __index = fact }), trusted)
end

function objections.reached() end

local function objection(fact, verdict, trusted)
  local own = objections[fact.kind]
  if own then
    return own(fact, verdict, trusted)
  end
  return catalogue.objection(fact, trusted)
end

--- What the catalogue says, asked in the rehearsal's own transaction, so that it knows what was made there.
---@param conn table of the rehearsal
---@param memory table of catalogue.new
---@param verdict table of rehearse_judge.inspect
---@param trusted table
---@return string? problem nil: it may be rehearsed
---@return table? err of the server
function rehearse_judge.check(conn, memory, verdict, trusted)
  local base, err = catalogue.base(conn, memory)
  if not base then
    return nil, err
  end
  local targets = verdict.targets
  local plain, schemas, names = {}, {}, {}
  for _, pair in ipairs(targets.list) do
    if pair[1] then
      schemas[#schemas + 1], names[#names + 1] = pair[1], pair[2]
    else
      plain[#plain + 1] = pair[2]
    end
  end
  local rows
  rows, err = catalogue.ask(conn, {
    rehearse_facts.reach, bind.names(base.path), bind.names(plain), bind.names(schemas), bind.names(names),
    targets.does, targets.index or false, n = 6,
  })
  if not rows then
    return nil, err
  end
  local problems = {}
  for _, fact in ipairs(rows) do
    if fact.kind == "reached" then
      verdict.relations[#verdict.relations + 1] = { fact.schema, fact.name }
    end
    problems[#problems + 1] = objection(fact, verdict, trusted)
  end
  table.sort(problems)
  if problems[1] then
    return problems[1]
  end
  return catalogue.check(conn, memory, verdict, trusted)
end

return rehearse_judge
