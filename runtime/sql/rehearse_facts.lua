--- The SQL by which the catalogue is asked what a change would set in motion: triggers, rules, defaults, what
--- a foreign key passes on. Data only; it runs as the SQL of runtime/sql/facts.lua does.
local facts = {}

--- $1 path, $2 targets, $3 $4 targets with schema, $5 what the statement does to them (bits of pg_trigger.tgtype:
--- 4 INSERT, 8 DELETE, 16 UPDATE, 32 TRUNCATE; 0: a definition), $6 does it make an index?
--- One row a fact: {kind, subject, …} as runtime/sql/catalogue.lua judges them, and
---   reached   a relation that is written to; relation = schema.name to be followed as one that is read
---   system, target, trigger, rule, identity, event   are objections as they stand
---   default   what the default of column `col` calls; `direct`: of a target itself
facts.reach = [[
WITH RECURSIVE
path AS (
  SELECT n.oid FROM pg_namespace n WHERE n.nspname = ANY ($1::name[]) OR n.nspname = 'pg_catalog'
),
named AS (
  SELECT c.oid FROM pg_class c WHERE c.relname = ANY ($2::name[]) AND c.relnamespace IN (SELECT oid FROM path)
  UNION
  SELECT c.oid FROM unnest($3::name[], $4::name[]) AS q(s, r)
  JOIN pg_namespace n ON n.nspname = q.s JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = q.r
),
reach(oid, direct) AS (
  SELECT oid, true FROM named
  UNION
  SELECT x.oid, x.direct FROM reach r CROSS JOIN LATERAL (
    SELECT i.inhrelid, r.direct FROM pg_inherits i WHERE i.inhparent = r.oid
    UNION ALL
    SELECT k.conrelid, false FROM pg_constraint k
    WHERE k.contype = 'f' AND k.confrelid = r.oid AND (
      (k.confdeltype IN ('c', 'n', 'd') AND (NOT r.direct OR $5::int & 8 <> 0))
      OR (k.confupdtype IN ('c', 'n', 'd') AND (NOT r.direct OR $5::int & 16 <> 0))
      OR $5::int & 32 <> 0)
  ) AS x(oid, direct)
),
rel AS (
  SELECT c.oid, c.relname, n.nspname, c.relkind, c.relam, bool_or(r.direct) AS direct,
    CASE WHEN bool_or(r.direct) THEN $5::int ELSE 0 END
    | CASE WHEN bool_or(NOT r.direct) THEN CASE WHEN $5::int & 32 <> 0 THEN 32 ELSE 24 END ELSE 0 END
    -- an update of a partitioned table may move a row: a delete here, an insert there
    | CASE WHEN $5::int & 16 <> 0 AND EXISTS (SELECT FROM reach q JOIN pg_class p ON p.oid = q.oid WHERE p.relkind = 'p')
      THEN 12 ELSE 0 END AS does
  FROM reach r JOIN pg_class c ON c.oid = r.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  GROUP BY c.oid, c.relname, n.nspname, c.relkind, c.relam
),
sets_default AS (
  SELECT EXISTS (SELECT FROM pg_constraint k WHERE k.contype = 'f' AND k.conrelid IN (SELECT oid FROM rel)
    AND (k.confdeltype = 'd' OR k.confupdtype = 'd')) AS yes
),
tree(kind, subject, direct, col, text) AS (
  SELECT 'default', r.relname::text, r.direct, a.attname::text, coalesce(d.adbin::text, t.typdefaultbin::text)
  FROM rel r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
  WHERE r.direct OR (SELECT yes FROM sets_default)
  UNION ALL
  SELECT 'policy of', r.relname, r.direct, NULL, p.polwithcheck::text FROM rel r JOIN pg_policy p ON p.polrelid = r.oid
  WHERE p.polwithcheck IS NOT NULL AND row_security_active(r.oid)
),
class(subject, oid) AS (
  SELECT r.relname::text, o.oid FROM rel r JOIN pg_index i ON i.indrelid = r.oid CROSS JOIN LATERAL unnest(i.indclass) AS o(oid)
  UNION
  SELECT r.relname, o.oid FROM rel r JOIN pg_partitioned_table p ON p.partrelid = r.oid CROSS JOIN LATERAL unnest(p.partclass) AS o(oid)
  UNION
  SELECT c.opcname, c.oid FROM pg_opclass c WHERE $6::bool AND c.opcdefault AND c.oid >= 16384
),
op(subject, oid) AS (
  SELECT r.relname::text, o.oid FROM rel r JOIN pg_constraint k ON r.oid IN (k.conrelid, k.confrelid)
  CROSS JOIN LATERAL unnest(k.conpfeqop || k.conppeqop || k.conffeqop || k.conexclop) AS o(oid)
  UNION
  SELECT c.subject, a.amopopr FROM class c JOIN pg_opclass k ON k.oid = c.oid JOIN pg_amop a ON a.amopfamily = k.opcfamily
),
called(kind, subject, direct, col, proc) AS (
  SELECT DISTINCT t.kind, t.subject, t.direct, t.col, m[1]::oid FROM tree t
  CROSS JOIN LATERAL regexp_matches(t.text, ':(?:funcid|aggfnoid|winfnoid) (\d+)', 'g') AS m
  UNION
  SELECT t.kind, t.subject, t.direct, t.col, o.oprcode::oid FROM tree t
  CROSS JOIN LATERAL regexp_matches(t.text, ':opno (\d+)', 'g') AS m JOIN pg_operator o ON o.oid = m[1]::oid
  WHERE o.oid >= 16384
  UNION
  SELECT 'operator class of', c.subject, true, NULL, a.amproc::oid FROM class c JOIN pg_opclass k ON k.oid = c.oid
  JOIN pg_amproc a ON a.amprocfamily = k.opcfamily WHERE a.amproc >= 16384
  UNION
  SELECT 'operator class of', p.subject, true, NULL, o.oprcode::oid FROM op p JOIN pg_operator o ON o.oid = p.oid
  WHERE o.oprcode >= 16384
  UNION
  SELECT 'access method of', x.subject, true, NULL, m.amhandler::oid FROM (
    SELECT c.subject, k.opcmethod AS oid FROM class c JOIN pg_opclass k ON k.oid = c.oid
    UNION SELECT r.relname, r.relam FROM rel r
  ) AS x JOIN pg_am m ON m.oid = x.oid WHERE m.amhandler >= 16384
)
SELECT c.kind, c.subject, c.direct, c.col, n.nspname AS schema, p.proname AS name, p.oid < 16384 AS builtin,
  l.lanname AS language, p.probin AS library, e.extname AS extension, p.proowner = 10 AS bootstrap
FROM called c JOIN pg_proc p ON p.oid = c.proc JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_language l ON l.oid = p.prolang
LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
LEFT JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
WHERE p.oid >= 16384 OR NOT (
  EXISTS (SELECT FROM pg_operator o WHERE o.oprcode = p.oid) OR EXISTS (SELECT FROM pg_cast t WHERE t.castfunc = p.oid))
UNION ALL
SELECT 'reached', r.relname, r.direct, NULL, r.nspname, r.relname, false, NULL, NULL, NULL, false FROM rel r
UNION ALL
SELECT 'system', r.relname, r.direct, NULL, r.nspname, NULL, false, NULL, NULL, NULL, false FROM rel r WHERE r.oid < 16384
UNION ALL
SELECT 'target', r.relname, r.direct, r.relkind::text, r.nspname, NULL, false, NULL, NULL, NULL, false FROM rel r
WHERE r.relkind NOT IN ('r', 'p')
UNION ALL
SELECT 'identity', r.relname, r.direct, a.attname, r.nspname, NULL, false, NULL, NULL, NULL, false
FROM rel r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attidentity <> '' AND NOT a.attisdropped
WHERE r.direct OR (SELECT yes FROM sets_default)
UNION ALL
SELECT 'trigger', r.relname, r.direct, t.tgname, n.nspname, p.proname, p.oid < 16384, NULL, NULL, NULL, false
FROM rel r JOIN pg_trigger t ON t.tgrelid = r.oid JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & r.does <> 0
UNION ALL
SELECT 'rule', r.relname, r.direct, w.rulename, r.nspname, NULL, false, NULL, NULL, NULL, false
FROM rel r JOIN pg_rewrite w ON w.ev_class = r.oid WHERE w.ev_enabled <> 'D' AND w.ev_type <> '1'
UNION ALL
SELECT 'event', t.evtname, true, NULL, NULL, NULL, false, NULL, NULL, NULL, false FROM pg_event_trigger t
WHERE $5::int = 0 AND t.evtenabled <> 'D']]

--- Constraints that wait for COMMIT, as SET CONSTRAINTS takes them.
facts.deferred = [[
SELECT DISTINCT format('%I.%I', n.nspname, k.conname) AS name
FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace WHERE k.condeferred ORDER BY 1]]

return facts
