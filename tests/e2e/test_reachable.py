"""What a step is handed and what primitives return, walked by a playbook itself and compared with a list in the
repository, tests/lua/golden/values.txt: nothing of it leads into opsrun, or to what another step holds.

OPSRUN_GOLDEN=write writes the list anew; what is new in it was let in on purpose."""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ROOT, main  # noqa: E402
from author import AuthorTest  # noqa: E402

GOLDEN = os.path.join(ROOT, "tests", "lua", "golden", "values.txt")

BOOK = """playbook {
  title = "Reach",
  params = {
    text = { type = "string", default = "x" }, wait = { type = "duration", default = "5s" },
    room = { type = "size", default = "1mb" }, share = { type = "percent", default = 50 },
    names = { type = "list", of = "string", default = { "a", "b" } },
    db = { type = "sql", default = "primary" }, api = { type = "http", default = "api" },
  },
  uses = { shell = { "true" }, notify = { "team" } },
}
%s
local roots = {}
local function root(name, value) roots[#roots + 1] = { name, value } end

local earlier = step("Earlier", function() return { list = { 1, 2 }, text = "x" } end)

step("Reach", function(p)
  root("p", p)
  root("a step's handle", earlier)
  root("a step's value", earlier())
  local db = sql(p.db)
  root("sql", db)
  root("rows", db:query "SELECT 1 AS n, now() AS t, '{1,2}'::int[] AS a, '{\\"a\\": [1, null]}'::jsonb AS j")
  root("one", db:one "SELECT 1 AS n")
  db:each("SELECT 1 AS n", {}, function(row) root("a row of each", row) end)
  root("exec", db:exec "CREATE TEMPORARY TABLE reach_trial (n int)")
  root("transaction", { db:transaction(function(tx) root("tx", tx) return tx:query "SELECT 1 AS n" end) })
  local cache = redis "cache"
  root("redis", cache)
  root("redis reply", { cache:get "no such key" })
  root("http", http(p.api))
  root("http response", http(p.api):get "/api/health")
  root("shell.read", shell.read { "true" })
  root("shell.run", shell.run { "true" })
  root("files.stat", files.stat "/etc/hostname")
  root("files.list", files.list "/proc/self/ns")
  root("now", now())
  root("time.parse", time.parse "2026-11-21T03:12:07Z")
  root("time.window", time.window(now(), now() + "1h"))
  root("state", state "reach")
  root("json.decode", json.decode '{"a":[1,null,{}]}')
  root("json.null", json.null)
  root("try", { try(function() fail "no" end) })
  root("parallel", { parallel { { "a", function() return { 1 } end }, { "b", function() return 2 end } } })
  root("each", { each({ 1 }, function(n) return { n } end) })
  root("wait_until", { wait_until("now", { within = "1s" }, function() return { 1 } end) })
  root("judge", { judge(1, { above = { warning = 0 } }) })
  root("thresholds.of", { thresholds.of "disk_used" })
  root("notify", notify "team" "reach")
  root("step", step("Inner", function() return { 1 } end))
  root("artifact", { artifact("trial.txt", "x") })
  always("walk", function(how)
    root("how it ended", how)
    local lines = walk(roots, {})
    artifact("reach.txt", table.concat(lines, "\\n") .. "\\n")
  end)
end)
"""


class Reachable(AuthorTest):

    def walk(self):
        with open(os.path.join(ROOT, "tests", "lua", "reach.lua"), encoding="utf-8") as file:
            walker = re.search(r"-- \[walk\n(.*)-- walk\]", file.read(), re.S).group(1)
        done = self.play(BOOK % walker, header="")
        self.expect(done, code=0)
        run = self.run_ids()[-1]
        with open(os.path.join(self.home, "runs", run, "artifacts", "reach.txt"), encoding="utf-8") as file:
            return file.read().splitlines()

    def test_values_are_what_the_list_says(self):
        lines = self.walk()
        if os.environ.get("OPSRUN_GOLDEN") == "write":
            with open(GOLDEN, "w", encoding="utf-8") as file:
                file.write("# What steps are handed. Made by OPSRUN_GOLDEN=write python3 tests/e2e/test_reachable.py\n")
                file.write("\n".join(lines) + "\n")
        with open(GOLDEN, encoding="utf-8") as file:
            known = [line for line in file.read().splitlines() if not line.startswith("#")]
        print(f"{len(lines)} things can be reached, {len(set(lines) - set(known))} new")
        self.assertEqual(known, lines)


if __name__ == "__main__":
    main()
