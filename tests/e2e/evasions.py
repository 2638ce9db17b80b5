"""Ways around what a playbook's header allows. Each case is the body of a step; what it must never do leaves a trace.

Words in capitals stand for places of the trial: ROOM, PORT (the allowed server), EVIL (another one)."""

# uses = { shell = { "tool ok" } }: only `tool ok …`, found by opsrun's own PATH, may run.
SHELL = [
    'shell.run { "tool" }', 'shell.run { "tool", "bad" }', 'shell.run { "tool", "OK" }', 'shell.run { "tool", "okay" }',
    'shell.run { "tool ok" }', 'shell.run { "tool ok", "bad" }', 'shell.run { "tool", "ok bad" }', 'shell.run { "tool", "" }',
    'shell.run { "tool", "", "ok" }', 'shell.run { "tool", "--", "ok" }', 'shell.run { "tool", "-x", "ok" }',
    'shell.run { "tool", "ok\\n" }', 'shell.run { "tool", " ok" }', 'shell.run { "tool", "o\\\\k" }', 'shell.run { "TOOL", "ok" }',
    'shell.run { "tool", "{verb}" }', 'shell.run { "{tool}", "ok" }', 'shell.run { "", "tool", "ok" }',
    'shell.run { "tool\\0", "ok" }', 'shell.run { "t\u043e\u043el", "ok" }', 'shell.run { "tool\u200b", "ok" }',
    'shell.run "tool ok"', 'shell.run "tool bad"', 'shell.run "tool ok; tool bad"', 'shell.run "tool ok && tool bad"',
    'shell.run { "sh", "-c", "tool bad" }', 'shell.run { "bash", "-c", "tool bad" }', 'shell.run { "dash", "-c", "tool bad" }',
    'shell.run({ "bash" }, { stdin = "tool bad" })', 'shell.run { "env", "tool", "bad" }', 'shell.run { "env", "tool", "ok" }',
    'shell.run { "env", "-S", "tool bad" }', 'shell.run { "/usr/bin/env", "tool", "bad" }', 'shell.run { "sudo", "tool", "bad" }',
    'shell.run { "sudo", "-n", "tool", "ok" }', 'shell.run({ "xargs", "tool" }, { stdin = "bad" })',
    'shell.run({ "xargs" }, { stdin = "tool bad" })', 'shell.run { "nohup", "tool", "bad" }', 'shell.run { "nice", "tool", "bad" }',
    'shell.run { "timeout", "5", "tool", "bad" }', 'shell.run { "setsid", "tool", "bad" }', 'shell.run { "stdbuf", "-o0", "tool", "bad" }',
    'shell.run { "find", "/", "-maxdepth", "0", "-exec", "tool", "bad", ";" }', 'shell.run { "awk", "BEGIN { system(\\"tool bad\\") }" }',
    'shell.run { "perl", "-e", "system \'tool bad\'" }', 'shell.run { "python3", "-c", "import os; os.system(\'tool bad\')" }',
    'shell.run { "exec", "tool", "bad" }', 'shell.run { "command", "tool", "bad" }', 'shell.run { "/lib64/ld-linux-x86-64.so.2", "/bin/sh", "-c", "tool bad" }',
    'shell.run { "ROOM/bin/tool", "ok" }', 'shell.run { "ROOM/bin/tool", "bad" }', 'shell.run { "ROOM/bin/../bin/tool", "ok" }',
    'shell.run { "ROOM/bin/alias", "ok" }', 'shell.run { "alias", "ok" }', 'shell.run({ "./tool", "ok" }, { cwd = "ROOM/evil" })',
    'shell.run({ "../evil/tool", "ok" }, { cwd = "ROOM/bin" })', 'shell.run({ "tool", "ok" }, { cwd = "ROOM/evil" })',
    'shell.run({ "tool", "ok" }, { env = { PATH = "ROOM/evil" } })', 'shell.run({ "tool", "ok" }, { env = { PATH = "" } })',
    'shell.run({ "tool", "ok" }, { env = { PATH = "." }, cwd = "ROOM/evil" })',
    'shell.run({ "tool", "ok" }, { env = { ENV = "ROOM/evil/rc", LC_ALL = "C" } })',
    'shell.run({ "tool", "ok" }, { env = { BASH_ENV = "ROOM/evil/rc" } })', 'shell.run({ "tool", "ok" }, { env = { LD_PRELOAD = "ROOM/evil/x.so" } })',
    'shell.run({ "tool", "ok" }, { env = { LD_LIBRARY_PATH = "ROOM/evil" } })', 'shell.run({ "tool", "ok" }, { env = { LD_AUDIT = "ROOM/evil/x.so" } })',
    'shell.run({ "tool", "ok" }, { env = { PYTHONPATH = "ROOM/evil" } })', 'shell.run({ "tool", "ok" }, { env = { PERL5OPT = "-MEvil" } })',
    'shell.run({ "tool", "ok" }, { env = { SHELLOPTS = "xtrace", PS4 = "$(tool bad)" } })',
    'shell.run({ "tool", "ok" }, { env = { ["BASH_FUNC_tool%%"] = "() { tool bad; }" } })',
    'shell.run({ "tool", "ok" }, { env = { IFS = "o" } })', 'shell.run({ "tool", "ok" }, { env = { NODE_OPTIONS = "--require ROOM/evil/x" } })',
    'shell.read({ "tool", "bad" }, { net = true })', 'shell.read("tool bad", { net = true })',
    'shell.run(setmetatable({ "tool", "bad" }, { __index = { "tool", "ok" } }))',
    'shell.run(setmetatable({}, { __index = { "tool", "bad" } }))',
    'local words = { "tool", "ok" } shell.run(words) words[2] = "bad" shell.run(words)',
]

# uses = { files = { "ROOM/open" } }: what lies in ROOM/closed stays as it is.
FILES = [
    'files.write("ROOM/closed/f", "x")', 'files.append("ROOM/closed/f", "x")', 'files.remove("ROOM/closed/f")',
    'files.truncate("ROOM/closed/f")', 'files.touch("ROOM/closed/f")', 'files.compress("ROOM/closed/f")',
    'files.mkdir("ROOM/closed/new")', 'files.remove("ROOM/closed", { recursive = true })', 'files.remove("ROOM", { recursive = true })',
    'files.write("ROOM/open/../closed/f", "x")', 'files.write("ROOM/open/./../closed/f", "x")', 'files.write("ROOM/open//../closed/f", "x")',
    'files.write("ROOM/open/sub/../../closed/f", "x")', 'files.remove("ROOM/open/..", { recursive = true })',
    'files.write("ROOM/open/../../ROOM/closed/f", "x")', 'files.write("ROOM/opened", "x")', 'files.write("ROOM/open2/f", "x")',
    'files.write("ROOM/open-closed", "x")', 'files.write("ROOM/ope", "x")', 'files.write("ROOM/Open/f", "x")',
    'files.write("ROOM/open/link/f", "x")', 'files.append("ROOM/open/link/f", "x")', 'files.remove("ROOM/open/link/f")',
    'files.truncate("ROOM/open/link/f")', 'files.mkdir("ROOM/open/link/new")', 'files.mkdir("ROOM/open/link/a/b", { parents = true })',
    'files.touch("ROOM/open/link/f")', 'files.compress("ROOM/open/link/f")', 'files.remove("ROOM/open/link", { recursive = true })',
    'files.remove("ROOM/open/link/", { recursive = true })', 'files.remove("ROOM/open/link/.", { recursive = true })',
    'files.write("ROOM/open/flink", "x")', 'files.append("ROOM/open/flink", "x")', 'files.truncate("ROOM/open/flink")',
    'files.touch("ROOM/open/flink")', 'files.compress("ROOM/open/flink")', 'files.append("ROOM/open/hard", "x")',
    'files.truncate("ROOM/open/hard")', 'files.write("ROOM/open/up/closed/f", "x")', 'files.write("ROOM/open/loop/link/f", "x")',
    'files.write("/proc/self/root/ROOM/closed/f", "x")', 'files.write("/proc/self/cwd/f", "x")', 'files.write("/dev/fd/../../ROOM/closed/f", "x")',
    'files.write("closed/f", "x")', 'files.write("open/../closed/f", "x")', 'files.write("~/f", "x")', 'files.write("", "x")',
    'files.write("file://ROOM/closed/f", "x")', 'files.write("ROOM/open/%2e%2e/closed/f", "x")',
    'files.write("ROOM/open/\uff0e\uff0e/closed/f", "x")', 'files.write("ROOM/open\\0/../closed/f", "x")',
    'files.write("ROOM/closed/f\\0", "x")', 'files.write({ path = "ROOM/closed/f" }, "x")',
    'files.remove { "ROOM/open/own", "ROOM/closed/f" }', 'files.remove(files.list("ROOM/closed"))',
    'files.remove(setmetatable({ "ROOM/closed/f" }, { __index = { path = "ROOM/open/own" } }))',
    'files.remove("ROOM/open", { recursive = true })', 'shell.run({ "true" }, { to = "../../closed/f" })',
]

# uses = { http = { "http://127.0.0.1:PORT" } }: the server at EVIL hears nothing.
HTTP = [
    "http://127.0.0.1:EVIL/", "http://127.0.0.1:PORT@127.0.0.1:EVIL/", "http://user:pw@127.0.0.1:EVIL/", "http://127.0.0.1:EVIL#@127.0.0.1:PORT/",
    "http://127.0.0.1:EVIL?@127.0.0.1:PORT/", "http://127.0.0.1:EVIL/@127.0.0.1:PORT/", "http://127.0.0.1:PORT\\\\@127.0.0.1:EVIL/",
    "http://127.0.0.1:EVIL\\\\@127.0.0.1:PORT/", "http://127.0.0.1:PORT#@127.0.0.1:EVIL:EVIL@127.0.0.1:EVIL/", "http://localhost:EVIL/",
    "http://LOCALHOST:EVIL/", "http://127.1:EVIL/", "http://2130706433:EVIL/", "http://0x7f000001:EVIL/", "http://0177.0.0.1:EVIL/",
    "http://127.0.0.1.:EVIL/", "http://127.0.0.1:0EVIL/", "http://127.0.0.1:+EVIL/", "http://127.0.0.1: EVIL/", "http://[::1]:EVIL/",
    "http://[::ffff:127.0.0.1]:EVIL/", "http://[0:0:0:0:0:ffff:7f00:1]:EVIL/", "http://[127.0.0.1]:EVIL/", "HTTP://127.0.0.1:EVIL/",
    " http://127.0.0.1:EVIL/", "http:127.0.0.1:EVIL/", "http:/127.0.0.1:EVIL/", "http:///127.0.0.1:EVIL/", "//127.0.0.1:EVIL/",
    "http://127.0.0.1\\t:EVIL/", "http://127.0.0.1:EVIL\\n/", "http://127.0.0.1:PORT\\r\\nHost: x@127.0.0.1:EVIL/", "http://%31%32%37.0.0.1:EVIL/",
    "http://127%2e0.0.1:EVIL/", "http://\uff11\uff12\uff17.0.0.1:EVIL/", "http://127\u30020\u30020\u30021:EVIL/", "https://127.0.0.1:EVIL/",
    "https://127.0.0.1:PORT/", "http://127.0.0.1/", "http://127.0.0.1:PORT1/", "ftp://127.0.0.1:EVIL/", "gopher://127.0.0.1:EVIL/_x",
    "file:///etc/hostname", "dict://127.0.0.1:EVIL/", "http://127.0.0.1:PORT.evil.example/", "http://127.0.0.1:PORT/away",
    "http://127.0.0.1:PORT/away-in-dots",
]

# calls = { "listed" }: nothing else is played.
CALLS = [
    'call("other")', 'call("other.lua")', 'call("./other")', 'call("listed/../other")', 'call("ROOM/books/other.lua")', 'call("listed.lua.lua")',
    'call("OTHER")', 'call("listed ")', 'call("linked")', 'call({ "other" })', 'call("asks-for-other")', 'suggest("other") call("other")',
]

# uses = { notify = { "team" }, state = { "shared" } }
NAMES = [
    'notify "oncall" "x"', 'notify "Team" "x"', 'notify "team " "x"', 'notify "" "x"', 'notify "{name}" "x"', 'notify "team/oncall" "x"',
    'state("alerts"):set("a", 1)', 'state("Shared"):set("a", 1)', 'state("shared/../alerts"):set("a", 1)', 'state("shared "):set("a", 1)',
]
