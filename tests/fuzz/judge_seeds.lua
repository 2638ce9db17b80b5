--- What the judge's fuzzer begins with: the probes, the real reads and the diagnostics of tests/sql, a file each.
---   lua5.4 tests/fuzz/judge_seeds.lua DIRECTORY
local probes, reads, diagnostics = require "tests.sql.probes", require "tests.sql.reads", require "tests.sql.diagnostics"

local changes = {
  "INSERT INTO users AS u (id, n[1]) VALUES (1, DEFAULT), ($1, lower($2)) ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING *",
  "UPDATE s.users u SET (a, b) = (SELECT 1, o.c FROM orders o WHERE o.id = u.id), d = now() FROM t WHERE t.id = u.id",
  "DELETE FROM users USING banned WHERE users.id = banned.id AND EXISTS (SELECT FROM audit)",
  "MERGE INTO users u USING staged s ON u.id = s.id WHEN MATCHED AND s.gone THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.id)",
  "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON users (lower(email) COLLATE \"C\" DESC) WHERE email <> ''",
  "ALTER TABLE users ADD COLUMN n numeric(10, 2) DEFAULT 0 CHECK (n > 0), DROP CONSTRAINT c",
  "TRUNCATE a, ONLY b RESTART IDENTITY",
}

local number = 0
for _, list in ipairs { probes.statements, probes.plain_role, reads.statements, diagnostics.statements, changes } do
  for _, text in ipairs(list) do
    if #text < 4096 then
      number = number + 1
      local file = assert(io.open(("%s/%03d"):format(arg[1], number), "wb"))
      file:write(text)
      file:close()
    end
  end
end
