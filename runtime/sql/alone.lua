--- Statements that no transaction may hold: which they are, and how it is seen whether one happened. They
--- commit by themselves and leave no transaction's id to ask for; some leave an object in the catalogue.
local alone = {}

--- Always, or when the test of their fields says so.
local kinds = {
  VacuumStmt = function(node)
    return node.is_vacuumcmd
  end,
  CreatedbStmt = true,
  DropdbStmt = true,
  AlterSystemStmt = true,
  CreateTableSpaceStmt = true,
  DropTableSpaceStmt = true,
  CreateSubscriptionStmt = true,
  DropSubscriptionStmt = true,
  IndexStmt = function(node)
    return node.concurrent
  end,
  DropStmt = function(node)
    return node.concurrent
  end,
  ReindexStmt = function(node)
    for _, param in ipairs(node.params or {}) do
      if param.DefElem and param.DefElem.defname == "concurrently" then
        return true
      end
    end
    return node.kind == "REINDEX_OBJECT_SCHEMA" or node.kind == "REINDEX_OBJECT_SYSTEM"
      or node.kind == "REINDEX_OBJECT_DATABASE"
  end,
  ClusterStmt = function(node)
    return node.relation == nil
  end,
}

--- Must this statement stand alone?
---@param kind string? of the parse tree
---@param node table?
function alone.must(kind, node)
  local test = kinds[kind]
  return test == true or (test ~= nil and test(node) and true) or false
end

--- Upkeep, which alters no data and no definition: made twice, the second time does the rest.
local upkeep = { VacuumStmt = true, ReindexStmt = true, ClusterStmt = true }

local function quoted(...)
  local parts = {}
  for _, name in ipairs { ... } do
    parts[#parts + 1] = '"' .. name:gsub('"', '""') .. '"'
  end
  return table.concat(parts, ".")
end

local database = "SELECT oid, true AS valid FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) $1"
local tablespace = "SELECT oid, true AS valid FROM pg_catalog.pg_tablespace WHERE spcname OPERATOR(pg_catalog.=) $1"
local index_by_name = [[SELECT i.indexrelid AS oid, i.indisvalid AS valid FROM pg_catalog.pg_index AS i
  WHERE i.indexrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1)]]
local index_of_table = [[SELECT i.indexrelid AS oid, i.indisvalid AS valid FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
  WHERE c.relname OPERATOR(pg_catalog.=) $1 AND i.indrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($2)]]

--- kind -> what it does to which object: {"makes"|"drops", question, its values}; nil where no single
--- object of the catalogue tells.
local objects = {}

function objects.CreatedbStmt(node)
  return { "makes", database, node.dbname }
end

function objects.DropdbStmt(node)
  return { "drops", database, node.dbname }
end

function objects.CreateTableSpaceStmt(node)
  return { "makes", tablespace, node.tablespacename }
end

function objects.DropTableSpaceStmt(node)
  return { "drops", tablespace, node.tablespacename }
end

function objects.IndexStmt(node)
  local relation = node.relation
  if not node.idxname or not relation then
    return nil -- the server finds a name
  end
  local target = relation.schemaname and quoted(relation.schemaname, relation.relname) or quoted(relation.relname)
  return { "makes", index_of_table, node.idxname, target }
end

function objects.DropStmt(node)
  local only = #(node.objects or {}) == 1 and node.objects[1].List
  if node.removeType ~= "OBJECT_INDEX" or not only then
    return nil
  end
  local names = {}
  for i, item in ipairs(only.items or {}) do
    names[i] = item.String and (item.String.sval or item.String.str)
  end
  return #names > 0 and { "drops", index_by_name, quoted(table.unpack(names)) } or nil
end

local function object_of(kind, node)
  local found = objects[kind] and objects[kind](node)
  return found and found[3] and found or nil
end

--- What the statement's object is now: {there, oid, valid}, or nil when the catalogue does not tell.
---@param conn table a session's
---@param kind string?
---@param node table?
function alone.look(conn, kind, node)
  local object = object_of(kind, node)
  local results = object and conn:run { { object[2], n = #object - 2, table.unpack(object, 3) } }
  if not results then
    return nil
  end
  local row = results[1].rows[1]
  return row and { there = true, oid = row.oid, valid = row.valid } or { there = false }
end

--- Did it happen? From what its object was right before, and is now that the session is over with it.
--- That somebody else made or dropped the very same object in between is possible; then it is as the
--- statement wanted it, and making it again would fail or do harm.
---@param before table? alone.look's, of the token
---@return "done"|"not done"|"repeat"|nil, string? why
function alone.verdict(conn, kind, node, before)
  if upkeep[kind] then
    return "repeat"
  end
  local object = object_of(kind, node)
  local now = object and before and alone.look(conn, kind, node)
  if not now then
    return nil, "it ran outside a transaction, and nothing in the catalogue tells whether it happened"
  end
  local same = before.there and now.there and before.oid == now.oid
  if object[1] == "drops" then
    if not before.there then
      return "not done" -- there was nothing to drop
    end
    return same and "not done" or "done"
  elseif before.there then
    if same then
      return "not done" -- it must have failed
    end
    return nil, "what was there by that name was replaced"
  elseif now.there and not now.valid then
    return nil, "the index is there and not valid: DROP INDEX CONCURRENTLY, then it did not happen"
  end
  return now.there and "done" or "not done"
end

return alone
