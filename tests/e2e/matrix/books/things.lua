--- Things: files, commands and keys of this machine.
playbook {
  title  = "Things",
  params = {
    tag = { type = "string", help = "whose things these are" },
    dir = { type = "path", help = "where they are" },
  },
  uses   = { files = { "{dir}" }, shell = { "count-mark" } },
}

step("Make room", function(p)
  files.mkdir(p.dir .. "/room")
  files.write(p.dir .. "/room/list", "m_list\n")
  files.append(p.dir .. "/room/list", "m_more\n")
  files.append(p.dir .. "/room/list", "m_most\n")
end)

step("Commands", function(p)
  shell.run { "count-mark", p.dir, "m_command" }
  local text = files.read(p.dir .. "/commands")
  local name = shell.read({ "cat" }, { stdin = text == "m_command\n" and "m_again" or "m_again_wrong" }).text
  shell.run { "count-mark", p.dir, name }
end)

step("A command that can be looked for", {
  happened = function(p) return files.read(p.dir .. "/commands"):find "m_looked" ~= nil end,
}, function(p)
  shell.run { "count-mark", p.dir, "m_looked" }
  shell.run({ "count-mark", p.dir, "m_seen" }, {
    happened = function() return files.read(p.dir .. "/commands"):find "m_seen" ~= nil end,
  })
end)

step("Keys", function(p)
  local cache, name = redis "cache", "matrix:" .. p.tag
  cache:hset(name .. ":set", "m_hash", "1")
  cache:hincrby(name, "m_key", 1)
  cache:hincrby(name, cache:hget(name, "m_key") == "1" and "m_first" or "m_first_wrong", 1)
  cache:pipeline { { "HINCRBY", name, "m_pipe_a", "1" }, { "HINCRBY", name, "m_pipe_b", "1" } }
  each({ "m_each_a", "m_each_b" }, { limit = 1 }, function(mark) cache:hincrby(name, mark, 1) end)
end)

step("Put away", function(p)
  artifact("list", files.read(p.dir .. "/room/list"))
  files.compress(p.dir .. "/room/list")
  files.write(p.dir .. "/room/old", ("x"):rep(100))
  files.truncate(p.dir .. "/room/old", { to = 10 })
  files.remove(files.list(p.dir .. "/room", { pattern = "old" }))
  local at = now()
  sleep "10ms"
  files.append(p.dir .. "/log", "m_logged\n")
  note("it took since %s", at)
end)
