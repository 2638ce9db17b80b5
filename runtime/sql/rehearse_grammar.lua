--- What a rehearsed change may be made of, beside what a read may (runtime/sql/grammar.lua, same words): node
--- type -> field -> how to look at it. A node or a field that is neither here nor there keeps the statement
--- from being rehearsed.
local grammar = {}

-- Data
grammar.InsertStmt = {
  relation = "RangeVar", cols = "list", selectStmt = "node", onConflictClause = "OnConflictClause",
  returningList = "list", withClause = "WithClause", override = "plain",
}
grammar.OnConflictClause = {
  action = "plain", infer = "InferClause", targetList = "list", whereClause = "node", location = "plain",
}
grammar.InferClause = { indexElems = "list", whereClause = "node", conname = "plain", location = "plain" }
grammar.UpdateStmt = {
  relation = "RangeVar", targetList = "list", whereClause = "node", fromClause = "list", returningList = "list",
  withClause = "WithClause",
}
grammar.MultiAssignRef = { source = "node", colno = "plain", ncolumns = "plain" }
grammar.SetToDefault = { location = "plain" }
grammar.DeleteStmt = {
  relation = "RangeVar", usingClause = "list", whereClause = "node", returningList = "list", withClause = "WithClause",
}
grammar.MergeStmt = {
  relation = "RangeVar", sourceRelation = "node", joinCondition = "node", mergeWhenClauses = "list",
  withClause = "WithClause",
}
grammar.MergeWhenClause = {
  matched = "plain", commandType = "plain", override = "plain", condition = "node", targetList = "list", values = "list",
}
grammar.TruncateStmt = { relations = "list", restart_seqs = "!it restarts sequences", behavior = "plain" }

-- Definitions
grammar.CreateStmt = {
  relation = "RangeVar", tableElts = "list", constraints = "list", oncommit = "plain", if_not_exists = "plain",
}
grammar.ColumnDef = {
  colname = "plain", typeName = "TypeName", collClause = "plain", is_local = "plain", constraints = "list",
  raw_default = "node", location = "plain",
}
grammar.Constraint = {
  contype = "plain", conname = "plain", raw_expr = "node", is_no_inherit = "plain", keys = "plain", including = "plain",
  pktable = "RangeVar", fk_attrs = "plain", pk_attrs = "plain", fk_matchtype = "plain", fk_upd_action = "plain",
  fk_del_action = "plain", skip_validation = "plain", initially_valid = "plain", nulls_not_distinct = "plain",
  generated_when = "plain", options = "plain", location = "plain",
  deferrable = "!a deferred constraint is checked at COMMIT, which a rehearsal never reaches",
  initdeferred = "!a deferred constraint is checked at COMMIT, which a rehearsal never reaches",
  exclusions = "!an exclusion constraint is not followed",
}
grammar.AlterTableStmt = { relation = "RangeVar", cmds = "list", objtype = "plain", missing_ok = "plain" }
grammar.AlterTableCmd = {
  subtype = "plain", name = "plain", num = "plain", def = "node", newowner = "plain", behavior = "plain",
  missing_ok = "plain",
}
grammar.DefElem = {
  defnamespace = "plain", defname = "plain", arg = "plain", defaction = "plain", location = "plain",
}
grammar.IndexStmt = {
  idxname = "plain", relation = "RangeVar", accessMethod = "plain", indexParams = "list", indexIncludingParams = "list",
  options = "plain", whereClause = "node", unique = "plain", nulls_not_distinct = "plain", if_not_exists = "plain",
  concurrent = "!it commits by itself",
}
grammar.IndexElem = {
  name = "plain", expr = "node", indexcolname = "plain", collation = "plain", ordering = "plain", nulls_ordering = "plain",
  opclass = "!an operator class is not followed",
}
grammar.ViewStmt = {
  view = "plain", aliases = "plain", query = "node", replace = "plain", options = "plain", withCheckOption = "plain",
}
grammar.DropStmt = {
  objects = "plain", removeType = "plain", behavior = "plain", missing_ok = "plain", concurrent = "!it commits by itself",
}
grammar.RenameStmt = {
  renameType = "plain", relationType = "plain", relation = "plain", subname = "plain", newname = "plain", behavior = "plain",
  missing_ok = "plain", object = "plain",
}
grammar.CommentStmt = { objtype = "plain", object = "plain", comment = "plain" }
grammar.GrantStmt = {
  is_grant = "plain", targtype = "plain", objtype = "plain", objects = "plain", privileges = "plain", grantees = "plain",
  grant_option = "plain", behavior = "plain",
}
grammar.CreateSchemaStmt = { schemaname = "plain", if_not_exists = "plain" }

return grammar
