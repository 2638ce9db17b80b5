--- The SQL by which the catalogue is asked what names stand for. Data only. It runs with nothing but
--- pg_catalog on the search path, in a read-only transaction, so nothing of the database's own
--- functions or operators can slip into it. 16384 is the first oid after initdb: below it stands what
--- the server brought, whatever schema a name sits in.
local facts = {}

--- The session's own search path, temporary schema included. No operator, no cast: it runs before the
--- path is narrowed.
facts.path = "SELECT pg_catalog.current_schemas(true) AS path"

--- Keeps the facts' own reading from meeting anything of the database; and from being compiled, which
--- takes longer than all the rest.
facts.narrow = "SET LOCAL search_path TO pg_catalog, pg_temp"
facts.no_jit = "SET LOCAL jit TO off"

--- Once a session: every name that something else than the server brought, as far as this path sees
--- it; and the volatile functions of this very version. $1 path.
facts.base = [[
WITH path AS (
  SELECT n.oid FROM pg_namespace n WHERE n.nspname = ANY ($1::name[]) OR n.nspname = 'pg_catalog'
)
SELECT 'function' AS kind, array_agg(DISTINCT p.proname) AS names
FROM pg_proc p WHERE p.oid >= 16384 AND p.pronamespace IN (SELECT oid FROM path)
UNION ALL
SELECT 'operator', array_agg(DISTINCT o.oprname)
FROM pg_operator o WHERE o.oid >= 16384 AND o.oprnamespace IN (SELECT oid FROM path)
UNION ALL
SELECT 'type', array_agg(DISTINCT t.typname)
FROM pg_type t WHERE t.oid >= 16384 AND t.typnamespace IN (SELECT oid FROM path)
UNION ALL
SELECT 'relation', array_agg(DISTINCT c.relname)
FROM pg_class c WHERE c.oid >= 16384 AND c.relnamespace IN (SELECT oid FROM path)
UNION ALL
SELECT 'cast', array_agg(DISTINCT
  format('%s as %s by %s', c.castsource::regtype, c.casttarget::regtype, c.castfunc::regproc)::name)
FROM pg_cast c WHERE c.castsource < 16384 AND c.casttarget < 16384 AND c.castfunc >= 16384
UNION ALL
SELECT 'comparison', array_agg(DISTINCT p.proname) FROM pg_proc p WHERE p.oid >= 16384 AND (
  EXISTS (SELECT FROM pg_amproc s WHERE s.amproc = p.oid AND s.amproclefttype < 16384 AND s.amprocrighttype < 16384)
  OR EXISTS (SELECT FROM pg_amop s JOIN pg_operator o ON o.oid = s.amopopr
    WHERE o.oprcode = p.oid AND s.amoplefttype < 16384 AND s.amoprighttype < 16384))
UNION ALL
SELECT 'volatile', array_agg(DISTINCT p.proname)
FROM pg_proc p WHERE p.oid < 16384 AND p.provolatile = 'v' AND p.pronamespace = 'pg_catalog'::regnamespace]]

--- Everything that runs when the named things are read. Node trees are searched for the oids of
--- functions, operators, types and relations, since a view's text shows no implicit cast.
--- $1 path, $2 functions, $3 $4 functions with schema, $5 operators, $6 types, $7 $8 types with
--- schema, $9 relations, $10 $11 relations with schema.
facts.follow = [[
WITH RECURSIVE
path AS (
  SELECT n.oid FROM pg_namespace n WHERE n.nspname = ANY ($1::name[]) OR n.nspname = 'pg_catalog'
),
named_type AS (
  SELECT t.oid FROM pg_type t WHERE t.typname = ANY ($6::name[]) AND t.typnamespace IN (SELECT oid FROM path)
  UNION
  SELECT t.oid FROM unnest($7::name[], $8::name[]) AS q(s, t)
  JOIN pg_namespace n ON n.nspname = q.s JOIN pg_type t ON t.typnamespace = n.oid AND t.typname = q.t
  UNION
  SELECT t.oid FROM unnest($3::name[], $4::name[]) AS q(s, f) -- a range is made by a function of its name
  JOIN pg_namespace n ON n.nspname = q.s JOIN pg_type t ON t.typnamespace = n.oid AND t.typname = q.f
),
named_relation AS (
  SELECT c.oid FROM pg_class c WHERE c.relname = ANY ($9::name[]) AND c.relnamespace IN (SELECT oid FROM path)
  UNION
  SELECT c.oid FROM unnest($10::name[], $11::name[]) AS q(s, r)
  JOIN pg_namespace n ON n.nspname = q.s JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = q.r
),
reach(oid, direct) AS (
  SELECT oid, true FROM named_relation WHERE oid >= 16384
  UNION
  SELECT t.typrelid, false FROM named_type d JOIN pg_type t ON t.oid = d.oid WHERE t.typrelid >= 16384
  UNION
  SELECT x.oid, x.direct FROM reach r CROSS JOIN LATERAL (
    SELECT i.inhrelid, r.direct FROM pg_inherits i WHERE i.inhparent = r.oid
    UNION ALL
    SELECT m[1]::oid, false
    FROM pg_class v JOIN pg_rewrite w ON w.ev_class = v.oid
    CROSS JOIN LATERAL regexp_matches(w.ev_action::text, ':relid (\d+)', 'g') AS m
    WHERE v.oid = r.oid AND v.relkind = 'v'
    UNION ALL
    SELECT m[1]::oid, false
    FROM pg_policy p CROSS JOIN LATERAL regexp_matches(p.polqual::text, ':relid (\d+)', 'g') AS m
    WHERE p.polrelid = r.oid
    UNION ALL
    SELECT e.typrelid, false
    FROM pg_attribute a JOIN pg_type b ON b.oid = a.atttypid
    JOIN pg_type e ON e.oid = CASE WHEN b.typcategory = 'A' THEN b.typelem ELSE b.oid END
    WHERE a.attrelid = r.oid AND a.attnum > 0 AND a.atttypid >= 16384
  ) AS x(oid, direct) WHERE x.oid >= 16384
),
rel AS (
  SELECT c.oid, c.relname, n.nspname, c.relkind, c.reltype, c.relrowsecurity,
    bool_or(r.direct) AS direct, bool_or(NOT r.direct) AS indirect
  FROM reach r JOIN pg_class c ON c.oid = r.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  GROUP BY c.oid, c.relname, n.nspname, c.relkind, c.reltype, c.relrowsecurity
),
tree(subject, what, text) AS (
  SELECT r.relname::text, 'view', w.ev_action::text FROM rel r JOIN pg_rewrite w ON w.ev_class = r.oid
  WHERE r.relkind = 'v'
  UNION ALL
  SELECT r.relname, 'index of', concat(i.indexprs::text, i.indpred::text)
  FROM rel r JOIN pg_index i ON i.indrelid = r.oid
  WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
  UNION ALL
  SELECT r.relname, 'constraint of', k.conbin::text FROM rel r JOIN pg_constraint k ON k.conrelid = r.oid
  WHERE k.contype = 'c'
  UNION ALL
  SELECT r.relname, 'partition key of', p.partexprs::text FROM rel r JOIN pg_partitioned_table p ON p.partrelid = r.oid
  WHERE p.partexprs IS NOT NULL
  UNION ALL
  SELECT r.relname, 'policy of', p.polqual::text FROM rel r JOIN pg_policy p ON p.polrelid = r.oid
  WHERE p.polqual IS NOT NULL AND (row_security_active(r.oid) OR (r.indirect AND r.relrowsecurity))
  UNION ALL
  SELECT r.relname, 'computed column of', d.adbin::text
  FROM rel r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attgenerated <> ''
  JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
  UNION ALL
  SELECT r.relname, 'statistics of', s.stxexprs::text FROM rel r JOIN pg_statistic_ext s ON s.stxrelid = r.oid
  WHERE s.stxexprs IS NOT NULL
),
seen_type(oid) AS (
  SELECT oid FROM named_type WHERE oid >= 16384
  UNION
  SELECT a.atttypid FROM rel r JOIN pg_attribute a ON a.attrelid = r.oid
  WHERE a.attnum > 0 AND a.atttypid >= 16384
  UNION
  SELECT m[1]::oid FROM tree t -- of results, and of constants: NULL::a_row says what json_populate_record makes
  CROSS JOIN LATERAL regexp_matches(t.text, ':\w*type (\d+)', 'g') AS m
  WHERE length(m[1]) > 4
  UNION
  SELECT x.oid FROM seen_type s JOIN pg_type t ON t.oid = s.oid
  CROSS JOIN LATERAL (
    SELECT t.typelem AS oid UNION ALL SELECT t.typbasetype
    UNION ALL SELECT g.rngsubtype FROM pg_range g WHERE g.rngtypid = t.oid
    UNION ALL SELECT g.rngtypid FROM pg_range g WHERE g.rngmultitypid = t.oid
  ) AS x WHERE x.oid >= 16384
),
typ AS (
  SELECT t.oid, t.typname, t.typtype, t.typcategory, t.typrelid, t.typinput, t.typoutput
  FROM pg_type t JOIN seen_type s ON s.oid = t.oid WHERE t.oid >= 16384
),
all_tree AS (
  SELECT subject, what, text FROM tree
  UNION ALL
  SELECT t.typname, 'domain', k.conbin::text FROM typ t JOIN pg_constraint k ON k.contypid = t.oid
),
token AS (
  SELECT DISTINCT a.subject, a.what, m[1] AS field, m[2]::oid AS id
  FROM all_tree a
  CROSS JOIN LATERAL regexp_matches(a.text, ':(funcid|opfuncid|aggfnoid|winfnoid|tsmhandler|opno|eqop|sortop) (\d+)', 'g') AS m
),
comparing(family, one, other, proc) AS ( -- what sorts, groups and indexes run, by operator family and types
  SELECT s.amprocfamily, s.amproclefttype, s.amprocrighttype, s.amproc::oid FROM pg_amproc s WHERE s.amproc >= 16384
  UNION ALL
  SELECT s.amopfamily, s.amoplefttype, s.amoprighttype, o.oprcode::oid
  FROM pg_amop s JOIN pg_operator o ON o.oid = s.amopopr WHERE o.oprcode >= 16384
),
called(kind, subject, proc) AS (
  SELECT 'function', p.proname::text, p.oid FROM pg_proc p
  WHERE p.oid >= 16384 AND p.proname = ANY ($2::name[]) AND p.pronamespace IN (SELECT oid FROM path)
  UNION
  SELECT 'function', concat(q.s, '.', q.f), p.oid FROM unnest($3::name[], $4::name[]) AS q(s, f)
  JOIN pg_namespace n ON n.nspname = q.s JOIN pg_proc p ON p.pronamespace = n.oid AND p.proname = q.f
  UNION
  SELECT 'operator', o.oprname, o.oprcode::oid FROM pg_operator o
  WHERE o.oid >= 16384 AND o.oprname = ANY ($5::name[]) AND o.oprnamespace IN (SELECT oid FROM path)
  UNION
  SELECT what, subject, id FROM token WHERE field IN ('funcid', 'aggfnoid', 'winfnoid', 'tsmhandler') AND id > 0
  UNION
  SELECT k.what, k.subject, o.oprcode::oid FROM token k JOIN pg_operator o ON o.oid = k.id
  WHERE k.field IN ('opno', 'eqop', 'sortop') AND o.oid >= 16384
  UNION
  SELECT 'type', t.typname, f.oid FROM typ t CROSS JOIN LATERAL (
    SELECT t.typinput::oid UNION ALL SELECT t.typoutput::oid
    UNION ALL SELECT g.rngcanonical::oid FROM pg_range g WHERE g.rngtypid = t.oid
    UNION ALL SELECT g.rngsubdiff::oid FROM pg_range g WHERE g.rngtypid = t.oid
    UNION ALL SELECT k.proc FROM pg_range g JOIN pg_opclass q ON q.oid = g.rngsubopc AND q.oid >= 16384
      JOIN comparing k ON k.family = q.opcfamily WHERE g.rngtypid = t.oid
  ) AS f(oid) WHERE f.oid >= 16384
  UNION
  SELECT 'comparison of', format_type(k.one, NULL), k.proc FROM comparing k JOIN pg_opfamily f ON f.oid = k.family
  WHERE f.opfmethod IN (SELECT oid FROM pg_am WHERE amname IN ('btree', 'hash')) AND (
    (k.one < 16384 AND k.other < 16384) OR k.one IN (SELECT oid FROM typ) OR k.other IN (SELECT oid FROM typ))
  UNION
  SELECT 'index of', r.relname, k.proc FROM rel r JOIN pg_index i ON i.indrelid = r.oid
  JOIN pg_opclass q ON q.oid = ANY (i.indclass) AND q.oid >= 16384 JOIN comparing k ON k.family = q.opcfamily
  UNION
  SELECT 'partition key of', r.relname, k.proc FROM rel r JOIN pg_partitioned_table p ON p.partrelid = r.oid
  JOIN pg_opclass q ON q.oid = ANY (p.partclass) AND q.oid >= 16384 JOIN comparing k ON k.family = q.opcfamily
  UNION
  SELECT 'cast', format_type(c.castsource, NULL), c.castfunc FROM pg_cast c
  WHERE c.castfunc >= 16384 AND (
    c.castsource IN (SELECT oid FROM typ UNION ALL SELECT reltype FROM rel)
    OR c.casttarget IN (SELECT oid FROM typ UNION ALL SELECT reltype FROM rel))
)
SELECT c.kind, c.subject, n.nspname AS schema, p.proname AS name, p.oid < 16384 AS builtin,
  l.lanname AS language, p.probin AS library, e.extname AS extension, p.proowner = 10 AS bootstrap
FROM called c JOIN pg_proc p ON p.oid = c.proc JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_language l ON l.oid = p.prolang
LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
LEFT JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
WHERE CASE WHEN p.oid >= 16384 THEN NOT ( -- what the server makes with each range type
    l.lanname = 'internal' AND p.prosrc ~ '^(multi)?range_constructor[0-3]$'
    AND EXISTS (SELECT FROM pg_type t WHERE t.oid = p.prorettype AND t.typname = p.proname))
  ELSE NOT (
    EXISTS (SELECT FROM pg_operator o WHERE o.oprcode = p.oid) OR EXISTS (SELECT FROM pg_cast t WHERE t.castfunc = p.oid))
  END
UNION ALL
SELECT 'foreign', r.relname, r.nspname, r.relname, false, NULL, NULL, NULL, false FROM rel r WHERE r.relkind = 'f'
UNION ALL
SELECT 'locking', t.subject, NULL, NULL, false, NULL, NULL, NULL, false FROM tree t
WHERE t.text LIKE '%{ROWMARKCLAUSE %'
UNION ALL
SELECT 'odd type', t.typname, NULL, t.typname, false, NULL, NULL, NULL, false FROM typ t
WHERE t.typtype = 'p' OR (t.typtype = 'c' AND t.typrelid NOT IN (SELECT oid FROM reach))]]

return facts
