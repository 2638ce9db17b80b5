-- What each room may see. A playbook's names come from the host, never from a global of ours.
std = "lua54"
max_line_length = 140
unused_args = true

local words = {
  "playbook", "step", "group", "check", "show", "note", "artifact", "chart", "skip", "fail", "finish", "suggest",
  "confirm", "choose", "ask", "manual", "ensure", "undo", "always", "settle", "attempt", "wait_until", "hold",
  "sleep", "now", "clock", "pause_until", "parallel", "each", "try", "call", "http", "sql", "redis", "shell",
  "files", "logs", "notify", "state", "secret", "json", "time", "batches", "service", "judge", "thresholds",
}
words[#words + 1] = "utf8"
local playbook = { std = "min", read_globals = words }

files["playbooks"] = playbook
files["stdlib"] = playbook
files["bench"] = playbook
files["tests/e2e/matrix"] = playbook
files["tests/golden"] = playbook
files["tests/e2e/matrix/environments"] = { std = "none", read_globals = { "secret", "env" } }
files["tests/golden/format-1/environments"] = { std = "none", read_globals = { "secret", "env" } }
local environment = { std = "none", read_globals = { "secret", "env" } }
files["thresholds"] = { std = "none" }
files["environments"] = environment
files["bench/environments"] = environment
files["tests/lua"] = { std = "lua54" }
files["runtime"] = { std = "lua54" }
