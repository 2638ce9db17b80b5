--- PostgreSQL's types, each as a playbook gets it, and bound again it is the same value: called by main.lua.
local types = {}

local I, F, B, S, T = "integer", "float", "boolean", "string", "table"

--- type, a literal of it, the kind of Lua value, and the value itself where it says more.
types.rows = {
  { "boolean", "true", B, true },
  { "smallint", "-32768", I, -32768 },
  { "integer", "2147483647", I, 2147483647 },
  { "bigint", "9223372036854775807", I, math.maxinteger },
  { "bigint", "-9223372036854775808", I, math.mininteger },
  { "bigint", "999999999999999999", I, 999999999999999999 },
  { "bigint", "1000000000000000000", I, 1000000000000000000 },
  { "oid", "4294967295", I, 4294967295 },
  { "xid", "4294967295", I, 4294967295 },
  { "cid", "7", I, 7 },
  { "xid8", "9007199254740993", I, 9007199254740993 },
  { "real", "0.1", F, 0.1 },
  { "real", "3.4028235e38", F },
  { "double precision", "0.1", F, 0.1 },
  { "double precision", "1.7976931348623157e308", F, 1.7976931348623157e308 },
  { "double precision", "5e-324", F, 5e-324 },
  { "double precision", "0", F, 0.0 },
  { "double precision", "3.141592653589793", F, 3.141592653589793 },
  { "double precision", "9007199254740991", F, 9007199254740991.0 },
  { "double precision", "900719925474099.25", F, 900719925474099.25 },
  { "double precision", "-123456789.123", F, -123456789.123 },
  { "double precision", "-Infinity", F, -math.huge },
  { "numeric", "12345678901234567890.123456789012345678901234567890", S, "12345678901234567890.123456789012345678901234567890" },
  { "numeric(12,2)", "0.10", S, "0.10" },
  { "numeric", "NaN", S, "NaN" },
  { "money", "12.34", S },
  { "text", "größer 'als' \"x\" \\ {},", S, "größer 'als' \"x\" \\ {}," },
  { "varchar(20)", " spaces ", S, " spaces " },
  { "char(5)", "ab", S, "ab   " },
  { '"char"', "x", S, "x" },
  { "name", "a_name", S, "a_name" },
  { "uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", S, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11" },
  { "date", "2026-11-21", S, "2026-11-21" },
  { "date", "infinity", S, "infinity" },
  { "time", "23:59:59.999999", S, "23:59:59.999999" },
  { "timetz", "23:59:59+02", S, "23:59:59+02" },
  { "timestamp", "2026-11-21 07:00:00.123456", S, "2026-11-21 07:00:00.123456" },
  { "timestamptz", "2026-11-21 07:00:00.123456+00", S },
  { "interval", "1 year 2 mons 3 days 04:05:06.789", S, "1 year 2 mons 3 days 04:05:06.789" },
  { "bit(8)", "10101010", S, "10101010" },
  { "bit varying", "101", S, "101" },
  { "inet", "192.0.2.1/24", S, "192.0.2.1/24" },
  { "cidr", "2001:db8::/32", S, "2001:db8::/32" },
  { "macaddr", "08:00:2b:01:02:03", S, "08:00:2b:01:02:03" },
  { "macaddr8", "08:00:2b:01:02:03:04:05", S, "08:00:2b:01:02:03:04:05" },
  { "point", "(1.5,2.5)", S, "(1.5,2.5)" },
  { "line", "{1,2,3}", S, "{1,2,3}" },
  { "lseg", "[(1,2),(3,4)]", S, "[(1,2),(3,4)]" },
  { "box", "(3,4),(1,2)", S, "(3,4),(1,2)" },
  { "path", "((1,2),(3,4))", S, "((1,2),(3,4))" },
  { "polygon", "((1,2),(3,4),(5,6))", S, "((1,2),(3,4),(5,6))" },
  { "circle", "<(1,2),3>", S, "<(1,2),3>" },
  { "json", '{"a": [1, 2.5, null, "x"], "id": 9007199254740993}', T },
  { "jsonb", '{"a": [1, 2.5, null, "x"], "id": 9007199254740993}', T },
  { "xml", "<a>b</a>", S, "<a>b</a>" },
  { "tsvector", "'a':1 'b':2", S, "'a':1 'b':2" },
  { "tsquery", "'a' & 'b'", S, "'a' & 'b'" },
  { "pg_lsn", "16/B374D848", S, "16/B374D848" },
  { "int4range", "[1,10)", S, "[1,10)" },
  { "int8range", "[1,9007199254740993)", S, "[1,9007199254740993)" },
  { "numrange", "[1.10,2.20)", S, "[1.10,2.20)" },
  { "daterange", "[2026-01-01,2027-01-01)", S, "[2026-01-01,2027-01-01)" },
  { "tsrange", "empty", S, "empty" },
  { "int4multirange", "{[1,3),[5,7)}", S, "{[1,3),[5,7)}" },
  { "regclass", "pg_class", S, "pg_class" },
  { "typed_state", "done", S, "done" },
  { "typed_amount", "7", I, 7 },
  { "typed_pair", '(1,"a b")', S, '(1,"a b")' },
  { "boolean[]", "{t,f,NULL}", T },
  { "smallint[]", "{1,-2}", T },
  { "integer[]", "{{1,2},{3,4}}", T },
  { "bigint[]", "{9223372036854775807,NULL}", T },
  { "real[]", "{0.1,NaN}", T },
  { "double precision[]", "{0.1,5e-324}", T },
  { "numeric[]", "{0.10,12345678901234567890.5}", T },
  { "text[]", '{"a b","c\\"d","e\\\\f",NULL,"NULL",""}', T },
  { "varchar[]", "{a,b}", T },
  { "uuid[]", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", T },
  { "date[]", "{2026-11-21}", T },
  { "timestamptz[]", '{"2026-11-21 07:00:00+00"}', T },
  { "interval[]", '{"1 day"}', T },
  { "inet[]", "{192.0.2.1}", T },
  { "json[]", '{"{\\"a\\": 1}"}', T },
}

local function kind_of(value)
  return math.type(value) or type(value)
end

--- A value as it may be bound: documents as their text.
local function bindable(host, name, value)
  if name:find "^json" then
    return name:find "%[%]" and { host.json.encode(value[1]) } or host.json.encode(value)
  end
  return value
end

---@param t table what main.lua hands its tests
function types.test(t)
  t.setup {
    "CREATE TYPE typed_state AS ENUM ('new', 'done')", "CREATE DOMAIN typed_amount AS int CHECK (VALUE > 0)",
    "CREATE TYPE typed_pair AS (id int, name text)",
  }
  local adapter = t.open { db = { url = t.url } }
  local names, count = {}, 0
  for _, row in ipairs(types.rows) do
    local name, literal, kind, expected = table.unpack(row)
    local label = ("%s '%s'"):format(name, literal)
    local quoted = "'" .. literal:gsub("'", "''") .. "'"
    local value = t.call(adapter, "value", "db", ("SELECT %s::%s AS v"):format(quoted, name), {}, { exact = true })
    t.claim(kind_of(value) == kind, label .. " is a " .. kind, kind_of(value))
    t.claim(expected == nil or value == expected, label .. " is exact", value)
    local text = name:find "^json" and ("$1::%s::jsonb::text = %s::%s::jsonb::text") or "$1::%s::text = %s::%s::text"
    text = name == "json[]" and "$1::%s::text = %s::%s::text" or text
    local ok, same = pcall(t.call, adapter, "value", "db", ("SELECT " .. text):format(name, quoted, name),
      { bindable(t.host, name, value) })
    t.claim(ok and (same or name == "json[]"), label .. " comes back as what it was", same)
    if not names[name] then
      names[name], count = true, count + 1
    end
  end
  local cell = t.call(adapter, "one", "db", [[SELECT 'null'::json AS a, '{}'::int[] AS b, '[0:1]={7,8}'::int[] AS c,
    '{"id": 9223372036854775807}'::jsonb AS d, 10::numeric AS e, 1e30::numeric AS f, sum(x) AS g, '\x00ff'::bytea AS h,
    ARRAY['\x01'::bytea] AS i, '2'::numeric / 4 AS j FROM (VALUES (9223372036854775806), (1)) AS v(x)]])
  t.claim(cell.a == t.host.json.null, "a JSON null is json.null, not NULL", cell.a)
  t.claim(type(cell.b) == "table" and #cell.b == 0 and t.host.json.encode(cell.b) == "[]", "an empty array is an empty list", cell.b)
  t.claim(cell.c[1] == 7 and cell.c[2] == 8, "an array with bounds of its own is a list", cell.c)
  t.claim(cell.d.id == math.maxinteger, "64-bit ids in JSON are exact", cell.d.id)
  t.claim(math.type(cell.e) == "integer" and cell.e == 10, "a whole numeric is an integer", cell.e)
  t.claim(math.type(cell.f) == "float" and cell.f == 1e30, "one beyond 64 bits is a float", cell.f)
  t.claim(cell.g == math.maxinteger, "a sum of bigint is exact", cell.g)
  t.claim(cell.h == "\0\255" and cell.i[1] == "\1", "bytea is bytes, in arrays too", cell.i[1])
  t.claim(cell.j == 0.5, "a numeric with a fraction is a float", cell.j)
  local zero = t.call(adapter, "value", "db", "SELECT '-0'::float8 AS v")
  t.claim(zero == 0 and 1 / zero == -math.huge, "a negative zero keeps its sign", zero)
  -- every other way of writing a number: as strtod reads it, which tonumber calls
  local texts = t.call(adapter, "query", "db", [[SELECT v::text AS text, v, (v::numeric)::text AS digits, v::numeric AS n
    FROM (SELECT ((i * 7919) % 1000003) * 10.0::float8 ^ (i % 31 - 12) * (1 - 2 * (i % 2)) AS v FROM generate_series(1, 5000) i) AS s]])
  local wrong = 0
  for _, row in ipairs(texts) do
    if row.v ~= tonumber(row.text) + 0.0 or row.n ~= tonumber(row.digits) then wrong = wrong + 1 end
  end
  t.claim(#texts == 5000 and wrong == 0, "5,000 floats and numerics of all sizes are the nearest doubles", wrong)
  t.claim(count >= 40, "at least 40 types", count)
  print(("%d types, %d values: each exact, and the same when bound again"):format(count, #types.rows))
  adapter.close()
end

return types
