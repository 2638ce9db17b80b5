--- The part of PostgreSQL's grammar a read may use, as data: node type -> field -> how to look at it.
--- A node or a field that is not here refuses the statement, so a newer grammar can only refuse more.
---   plain     holds nothing that runs
---   node      one node of any type        list   a list of nodes
---   <Type>    the fields of that type, without its wrapper
---   !reason   refuses
---   the others name a collector of runtime/sql/judge.lua
local grammar = {}

grammar.SelectStmt = {
  distinctClause = "list", intoClause = "!SELECT INTO makes a table", targetList = "list",
  fromClause = "list", whereClause = "node", groupClause = "list", groupDistinct = "plain",
  havingClause = "node", windowClause = "list", valuesLists = "list", sortClause = "list",
  limitOffset = "node", limitCount = "node", limitOption = "plain",
  lockingClause = "!FOR UPDATE and its kin lock rows", withClause = "WithClause",
  op = "plain", all = "plain", larg = "SelectStmt", rarg = "SelectStmt",
}
grammar.WithClause = { ctes = "list", recursive = "plain", location = "plain" }
grammar.CommonTableExpr = {
  ctename = "cte", aliascolnames = "plain", ctematerialized = "plain", ctequery = "node",
  search_clause = "CTESearchClause", cycle_clause = "CTECycleClause", location = "plain",
  cterecursive = "plain", cterefcount = "plain",
}
grammar.CTESearchClause = {
  search_col_list = "plain", search_breadth_first = "plain", search_seq_column = "plain", location = "plain",
}
grammar.CTECycleClause = {
  cycle_col_list = "plain", cycle_mark_column = "plain", cycle_mark_value = "node",
  cycle_mark_default = "node", cycle_path_column = "plain", location = "plain",
}
-- Values and expressions
grammar.ResTarget = { name = "plain", indirection = "indirection", val = "node", location = "plain" }
grammar.ColumnRef = { fields = "columns", location = "plain" }
grammar.A_Star = {}
grammar.A_Const = {
  isnull = "plain", ival = "plain", fval = "plain", boolval = "plain", sval = "plain", bsval = "plain",
  location = "plain",
}
grammar.Integer = { ival = "plain" }
grammar.Float = { fval = "plain" }
grammar.String = { sval = "plain" }
grammar.Boolean = { boolval = "plain" }
grammar.BitString = { bsval = "plain" }
grammar.ParamRef = { number = "parameter", location = "plain" }
grammar.A_Expr = { kind = "plain", name = "operator", lexpr = "node", rexpr = "node", location = "plain" }
grammar.BoolExpr = { boolop = "plain", args = "list", location = "plain" }
grammar.NullTest = { arg = "node", nulltesttype = "plain", argisrow = "plain", location = "plain" }
grammar.BooleanTest = { arg = "node", booltesttype = "plain", location = "plain" }
grammar.SubLink = {
  subLinkType = "plain", subLinkId = "plain", testexpr = "node", operName = "operator", subselect = "node",
  location = "plain",
}
grammar.FuncCall = {
  funcname = "func", args = "list", agg_order = "list", agg_filter = "node", over = "WindowDef",
  agg_within_group = "plain", agg_star = "plain", agg_distinct = "plain", func_variadic = "plain",
  funcformat = "plain", location = "plain",
}
grammar.NamedArgExpr = { arg = "node", name = "plain", argnumber = "plain", location = "plain" }
grammar.TypeCast = { arg = "node", typeName = "TypeName", location = "plain" }
grammar.TypeName = {
  names = "type", typeOid = "plain", setof = "plain", pct_type = "!%TYPE is not followed", typmods = "list",
  typemod = "plain", arrayBounds = "plain", location = "plain",
}
grammar.CaseExpr = { arg = "node", args = "list", defresult = "node", location = "plain" }
grammar.CaseWhen = { expr = "node", result = "node", location = "plain" }
grammar.CoalesceExpr = { args = "list", location = "plain" }
grammar.MinMaxExpr = { op = "plain", args = "list", location = "plain" }
grammar.A_ArrayExpr = { elements = "list", location = "plain" }
grammar.RowExpr = { args = "list", row_format = "plain", colnames = "plain", location = "plain" }
grammar.A_Indirection = { arg = "node", indirection = "indirection" }
grammar.A_Indices = { is_slice = "plain", lidx = "node", uidx = "node" }
grammar.CollateClause = { arg = "node", collname = "plain", location = "plain" }
grammar.SQLValueFunction = { op = "plain", type = "plain", typmod = "plain", location = "plain" }
grammar.XmlExpr = {
  op = "plain", name = "plain", named_args = "list", arg_names = "plain", args = "list", xmloption = "plain",
  type = "plain", typmod = "plain", location = "plain",
}
grammar.XmlSerialize = { xmloption = "plain", expr = "node", typeName = "TypeName", location = "plain" }
grammar.List = { items = "list" }
-- Order, groups, windows
grammar.SortBy = {
  node = "node", sortby_dir = "plain", sortby_nulls = "plain", useOp = "operator", location = "plain",
}
grammar.WindowDef = {
  name = "plain", refname = "plain", partitionClause = "list", orderClause = "list", frameOptions = "plain",
  startOffset = "node", endOffset = "node", location = "plain",
}
grammar.GroupingSet = { kind = "plain", content = "list", location = "plain" }
grammar.GroupingFunc = { args = "list", location = "plain" }
-- Where rows come from
grammar.RangeVar = {
  catalogname = "plain", schemaname = "plain", relname = "relation", inh = "plain",
  relpersistence = "plain", alias = "plain", location = "plain",
}
grammar.RangeSubselect = { lateral = "plain", subquery = "node", alias = "plain" }
grammar.RangeFunction = {
  lateral = "plain", ordinality = "plain", is_rowsfrom = "plain", functions = "list", alias = "plain",
  coldeflist = "list",
}
grammar.ColumnDef = {
  colname = "plain", typeName = "TypeName", collClause = "plain", is_local = "plain", location = "plain",
}
grammar.JoinExpr = {
  jointype = "plain", isNatural = "plain", larg = "node", rarg = "node", usingClause = "plain",
  join_using_alias = "plain", quals = "node", alias = "plain", rtindex = "plain",
}
grammar.RangeTableSample = {
  relation = "node", method = "sampling", args = "list", repeatable = "node", location = "plain",
}
grammar.RangeTableFunc = {
  lateral = "plain", docexpr = "node", rowexpr = "node", namespaces = "list", columns = "list",
  alias = "plain", location = "plain",
}
grammar.RangeTableFuncCol = {
  colname = "plain", typeName = "TypeName", for_ordinality = "plain", is_not_null = "plain",
  colexpr = "node", coldefexpr = "node", location = "plain",
}

return grammar
