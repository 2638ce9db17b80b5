"""Every kind of effect a playbook can ask for, as bodies of steps: each primitive verb in its variants, each kind of
SQL statement as a claimed read and as a change, each Redis command of our table, commands in the jail.

A kind says how its step must end: `read` (done, also live), `answered` (the same, though the server may say no),
`refused` (live and dry), `planned` and `dry` (not to be tried live).
"""

import os
import re
import subprocess
from collections import namedtuple

import kinds_redis
import kinds_sql

Kind = namedtuple("Kind", "name body ends")
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def lua_list(expression):
    """A list of strings that a Lua expression of this checkout gives."""
    script = ('package.path = "./?.lua;" .. package.path\n'
              f'for _, text in ipairs({expression}) do io.write(text, "\\0") end')
    done = subprocess.run(["lua5.4", "-e", script], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().split("\0")[:-1]


def lua(text):
    """A text as a Lua string, whatever is in it."""
    return '"' + "".join(c if c.isalnum() or c in " ,.:;()_-*/=<>" else "".join(f"\\{b:03d}" for b in c.encode())
                         for c in text) + '"'


def words(command):
    return ", ".join(lua(word) for word in command)


def sql():
    probes, reads = lua_list('require("tests.sql.probes").statements'), lua_list('require("tests.sql.reads").statements')
    more = lua_list('require("tests.sql.diagnostics").statements')
    for text in reads + more:
        yield Kind(f"sql.query {text}", f'return sql "reads":query({lua(text)}).count', "read")
    for verb in ("one", "value"):
        yield Kind(f"sql.{verb}", f'return sql "primary":{verb}("SELECT count(*) FROM users")', "read")
    yield Kind("sql.each", 'return sql "primary":each("SELECT id FROM users", {}, function() end)', "read")
    yield Kind("sql.environment", 'sql "primary":environment()', "read")
    for text in probes:
        yield Kind(f"sql.query {text}", f'sql "probes":query({lua(text)})', "refused")
    for text in probes + kinds_sql.CHANGES:
        yield Kind(f"sql.exec {text}", f'sql "probes":exec({lua(text)})', "planned")
        yield Kind(f"sql.exec, autocommit, {text}", f'sql "probes":exec({lua(text)}, {{}}, {{ autocommit = true }})', "planned")
    for text in kinds_sql.TRANSACTIONS:
        yield Kind(f"sql.transaction {text}", f'sql "primary":transaction(function(tx) {text} end)', "planned")
    yield Kind("sql.copy_in", 'sql "primary":copy_in("victim", { { 1000, "x" } }, { columns = { "id", "note" } })', "planned")
    yield Kind("sql.copy_in of a function", 'local n = 0\nsql "primary":copy_in("victim", function() n = n + 1 return n < 3 and'
               ' { 2000 + n, "x" } or nil end, { columns = { "id", "note" } })', "planned")


def redis():
    classed = lua_list("""(function()
      package.searchers[2] = function(name) return loadfile((name:gsub("%.", "/")) .. ".lua") end
      local classify, list = require "runtime.redis.classify", {}
      for _, name in ipairs(classify.names()) do
        local command, sub = name:match "^([^|]+)|?(.*)$"
        local class = classify.command(sub ~= "" and { command, sub } or { command })
        list[#list + 1] = name .. " " .. (class.refused and "refused" or class.class)
      end
      return list
    end)()""")
    for line in classed:
        name, ends = line.split(" ")
        command = kinds_redis.command(name, ends)
        ends = "answered" if ends == "read" and name.startswith(kinds_redis.NOT_HERE) else {"change": "planned"}.get(ends, ends)
        yield Kind(f"redis.call {' '.join(command)}", f'return redis "cache":call({words(command)})', ends)
    for command in kinds_redis.UNKNOWN:
        yield Kind(f"redis.call {' '.join(command)}", f'redis "cache":call({words(command)})', "planned")
    yield Kind("redis.call as a method", 'return redis "cache":get("string")', "read")
    yield Kind("redis.call as a method that writes", 'redis "cache":set("string", "9")', "planned")
    yield Kind("redis.info", 'return redis "cache":info("memory").used_memory', "read")
    yield Kind("redis.scan", 'for _ in redis "cache":scan { match = "*", with = { "ttl", "memory usage" } } do end', "read")
    yield Kind("redis.pipeline of reads", 'return redis "cache":pipeline { { "GET", "string" }, { "TTL", "string" } }', "read")
    yield Kind("redis.pipeline with a write", 'redis "cache":pipeline { { "GET", "string" }, { "DEL", "string" } }', "planned")
    yield Kind("redis over TLS", 'return redis "secure":call("DBSIZE")', "read")


def http():
    for verb in ("get", "head", "options"):
        ends = '{ expect = "any" }' if verb == "options" else "{}"
        for connection in ("api", "secure"):
            yield Kind(f"http.{verb} {connection}", f'return http "{connection}":{verb}("/health", {ends}).status', "read")
        yield Kind(f"http.{verb} with a body", f'http "api":{verb}("/health", {{ json = {{ a = 1 }} }})', "refused")
        yield Kind(f"http.{verb} that says it is another method",
                   f'http "api":{verb}("/health", {{ headers = {{ ["X-HTTP-Method-Override"] = "DELETE" }} }})', "refused")
    yield Kind("http.get of a url", 'return http.get(URL .. "/api/health").status', "read")
    yield Kind("http.get with a token", 'return http "api":get("/api/admin/pool").status', "read")
    yield Kind("http.request GET", 'return http "api":request("GET", "/health").status', "read")
    yield Kind("http.pages", 'for _ in http "api":pages("/api/admin/feature-flags", { items = "data", limit = 2 }) do end', "read")
    yield Kind("http.certificate", 'return http "secure":certificate().names', "read")
    yield Kind("http.post declared a read", 'return http "api":post("/search", { json = { q = "x" }, expect = "any" }).status', "read")
    for verb in ("post", "put", "patch", "delete"):
        for what, opts in (("nothing", ""), ("json", ", { json = { a = 1 } }"), ("a form", ', { form = { a = "1" } }'),
                           ("a body", ', { body = "x" }')):
            yield Kind(f"http.{verb} with {what}", f'http "api":{verb}("/api/admin/feature-flags"{opts})', "planned")
    for method in ("POST", "DELETE", "PROPFIND", "PURGE", "LOCK", "TRACE"):
        yield Kind(f"http.request {method}", f'http "api":request("{method}", "/api/admin/feature-flags")', "planned")


def files():
    for call in ('list(DIR)', 'list(DIR, { recursive = true, older_than = "1h", open = false })', 'stat(DIR .. "/file")',
                 'stat(DIR .. "/none")', 'read(DIR .. "/file")', 'tail(DIR .. "/old.log", { lines = 3 })',
                 'checksum(DIR .. "/deep/down/file")', "filesystems()", "largest(DIR)", 'open(DIR .. "/held")',
                 'list(DIR, { any_type = true, sort = "size", limit = 2 })', 'read(DIR .. "/link")'):
        verb = call.split("(")[0]
        yield Kind(f"files.{call}", f"local r = files.{call}", "read") if verb else None
    for call in ('write(DIR .. "/file", "new")', 'write(DIR .. "/new", "new", { create = true })', 'append(DIR .. "/file", "more")',
                 'remove(DIR .. "/file")', 'remove(DIR .. "/deep", { recursive = true })', 'remove(files.list(DIR))',
                 'compress(DIR .. "/old.log")', 'compress(DIR .. "/old.log", { keep = true })', 'truncate(DIR .. "/old.log")',
                 'touch(DIR .. "/file")', 'mkdir(DIR .. "/made")', 'mkdir(DIR .. "/made/deep", { parents = true })'):
        yield Kind(f"files.{call}", f"files.{call}", "planned")


def run_and_people():
    yield Kind("confirm", 'confirm("Really?")', "read")
    yield Kind("confirm by its name", 'confirm { "Really?", type = "orders-production", impact = 3 }', "read")
    yield Kind("ask", 'return ask { "Which?", options = { "a", "b" }, default = "a" }', "read")
    yield Kind("manual", 'manual { "Call the vendor", required = true }', "read")
    yield Kind("choose", 'choose("Which way?", { { "a", "this", function() redis "cache":set("string", "a") end },'
               ' { "b", "that", function() redis "cache":del("string") end } })', "planned")
    yield Kind("artifact", 'artifact("text.txt", "text")', "read")
    yield Kind("secret.new", 'local s = secret.new { name = "NEW" }', "read")
    yield Kind("sleep", 'sleep("1h")', "dry")
    yield Kind("now", "return now().epoch", "read")
    yield Kind("time.left", "return time.left()", "read")
    yield Kind("wait_until", 'wait_until("there", { every = "1s", within = "1m" }, function() return redis "cache":get("string") end)', "read")
    yield Kind("hold", 'hold("1s", { every = "200ms" }, function() return redis "cache":get("string") == "7" end)', "read")
    yield Kind("check, show, note, chart", 'check("x", 1, { above = { critical = 5 } }) show({ { a = 1 } }) note "n"', "read")
    for opts in ("", ', { severity = "critical" }', ', { once = "x" }', ', { event = "trigger", title = "t" }'):
        for name in ("team", "report", "oncall"):
            yield Kind(f"notify.send {name}{opts}", f'notify "{name}" ("it is on fire"{opts})', "planned")
    yield Kind("ensure", 'ensure("it is 9", { is = function() return redis "cache":get("string") == "9" end,'
               ' make = function() redis "cache":set("string", "9") end, back = function() redis "cache":set("string", "7") end })', "planned")
    yield Kind("undo and always", 'undo("back", function() redis "cache":del("string") end)'
               ' always("tidy", function() redis "cache":del("list") end) redis "cache":set("string", "9")', "planned")
    yield Kind("attempt", 'attempt(function() redis "cache":set("string", "9") end)', "planned")


def state():
    yield Kind("state.get", 'return state():get("a", 1)', "read")
    yield Kind("state.series", 'return #state():series("x")', "read")
    yield Kind("state.before", 'check("x", 1, { change = { over = "1d", above = { critical = 50 } } })', "dry")
    yield Kind("state.set", 'state():set("a", 2)', "dry")
    yield Kind("state.update", 'state():update("a", function() return 3 end)', "dry")
    yield Kind("state.set shared", 'state "alerts":set("a", 2)', "dry")


def services():
    yield Kind("service.status", 'return service "app":status().state', "read")
    yield Kind("service.status of a unit", 'return service "unit":status().state', "dry")
    for name in ("app", "unit"):
        for verb in ("restart", "stop", "start"):
            yield Kind(f"service.{verb} {name}", f'service "{name}":{verb}()', "planned")
    yield Kind("service.scale", 'service "box":scale(3)', "planned")
    yield Kind("service.releases", 'return #service "linked":releases()', "dry")
    yield Kind("service.release", 'service "linked":release "one"', "planned")


def logs():
    yield Kind("logs.scan", 'return logs "app":scan { errors = { field = "level", match = "error" }, all = { top = 3 } }.all.count', "read")


COMMANDS = (      # of the catalogue: what operators look with; their answers stand still
    "df -P / | awk '{print $1, $2, $6}'", "free -b | awk '/Mem/ {print $2}'", "ps -o pid,ppid,stat,args -p 1", "uname -a", "hostname",
    "nproc", "du -s /etc/apt", "cat /etc/os-release", "ls -l /usr/bin | tail -5", "stat -c '%n %s %Y' /etc/passwd",
    "find /etc/apt -type f | sort", "wc -l /etc/services", "sha256sum /usr/bin/bash", "getent passwd root", "head -3 /proc/cpuinfo",
    "ss -ltn | awk '{print $1, $4}' | grep -w $(cat $D/tcp.port)", "ps -e -o pid= | grep -w $V", "id", "date +%Y",
    "grep -c . /etc/passwd", "openssl version", "psql --version", "tail -n 2 $D/old.log", "tr '\\0' ' ' < /proc/$V/cmdline")


def attempts():
    """The scripts that tests/c/test_process_jail.c tries to get out with. Each is aimed at our own victims only."""
    with open(os.path.join(ROOT, "tests", "c", "test_process_jail.c"), encoding="utf-8") as file:
        table = re.search(r"\} attempts\[\] = \{(.*?)\n\};", file.read(), re.S).group(1)
    literal = r'"((?:[^"\\]|\\.)*)"'
    for name, rest in re.findall(r"\{" + literal + r",\s*((?:" + literal[:-1].replace("(", "(?:", 1) + r'"\s*)+)\}', table):
        script = "".join(re.findall(literal, rest))
        yield name, script.encode().decode("unicode_escape")


def shell(variables):
    for script in COMMANDS:
        yield Kind(f"shell.read {script}", f"return shell.read({lua(variables + script)}).stdout", "read")
    for argv in (["id", "-u"], ["cat", "/etc/hostname"], ["uptime", "-s"]):
        yield Kind(f"shell.read {argv}", f"return shell.read({{ {words(argv)} }}).text", "read")
    for name, script in attempts():
        yield Kind(f"shell.read tries to {name}", f"return shell.read({lua('exec 2>&1; ' + variables + script + '; true')}).text", "read")
    yield Kind("shell.read on another host, declared", 'return shell.read({ "date", "+%Y" }, { host = "web1" }).text', "read")
    yield Kind("shell.read with net, declared", 'return shell.read({ "bash", "-c", "true" }, { net = true }).code', "read")
    for command in ('{ "touch", DIR .. "/touched" }', '"echo x > " .. DIR .. "/file"', '{ "rm", "-rf", DIR }',
                    '{ "touch", DIR .. "/touched" }, { host = "web1" }', '{ "touch", DIR .. "/touched" }, { to = "out.txt" }',
                    '"kill -STOP " .. PID', '{ "docker", "restart", "api-container" }'):
        yield Kind(f"shell.run {command}", f"shell.run({command})", "planned")


def all_kinds(playground):
    variables = f"V={playground.process.pid} D={playground.top} O={os.getpid()}; "
    return [*sql(), *redis(), *http(), *files(), *run_and_people(), *state(), *services(), *logs(), *shell(variables)]


def rows():
    """Names of the effects of runtime/effects.lua that are effects."""
    return lua_list("""(function()
      package.searchers[2] = function(name) return loadfile((name:gsub("%.", "/")) .. ".lua") end
      local effects, list = require "runtime.effects", {}
      for _, kind in ipairs(effects.kinds()) do
        if effects.row(kind).class ~= "pure" then list[#list + 1] = kind end
      end
      return list
    end)()""")
