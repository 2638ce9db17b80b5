--- Hosts of an environment, and commands on them: what is taken for a host, what ssh is told, how words travel, who
--- vouches for a read. Everything but the connection itself, which tests/e2e/test_hosts.py makes.
local t = require "harness"
local errors = require "runtime.errors"
local host_settings = require "runtime.host_settings"
local reads = require "runtime.shell.reads"
local remote = require "runtime.shell.remote"
local ssh_options = require "runtime.shell.ssh_options"
local ssh_texts = require "runtime.shell.ssh_texts"

local function read(section)
  return host_settings.read(section, "e.lua")
end

local function refusal(section)
  local err = t.raises(read, section)
  t.equal(errors.is(err, "precondition"), true)
  return err.message, err.hint
end

t.test("a host is a name, a table, or one of a group; a group's settings are all its hosts'", function()
  local known = read {
    db = "ops@db1.internal:2222",
    edge = { address = "10.0.0.1", user = "deploy" },
    web = { "web1", { name = "web2", address = "10.0.0.3", user = "root" }, "edge", user = "app", port = 22 },
  }
  t.equal(host_settings.members(known, "web"), { "web1", "web2", "edge" })
  t.equal(host_settings.members(known, "web2"), { "web2" })
  t.equal(host_settings.members(known, "nope"), nil)
  t.equal(known.hosts.db, { name = "db", address = "db1.internal", user = "ops", port = 2222 })
  t.equal(known.hosts.web1, { name = "web1", address = "web1", user = "app", port = 22 })
  t.equal(known.hosts.web2.user, "root")
  t.equal(known.hosts.edge, { name = "edge", address = "10.0.0.1", user = "deploy" })
  t.equal(host_settings.names(known), { "db", "edge", "web", "web1", "web2" })
  t.equal(read({ six = "[::1]:2200" }).hosts.six, { name = "six", address = "::1", port = 2200 })
end)

t.test("one name is one host: two groups that mean different machines by it are refused", function()
  local message, hint = refusal { a = { "web1" }, b = { { name = "web1", address = "10.0.0.9" } } }
  t.contains(message, "hosts.b: 'web1' is another host here than in environment 'e.lua': hosts.a")
  t.contains(hint, "a name of its own")
  t.equal(host_settings.members(read { a = { "web1" }, b = { "web1" } }, "b"), { "web1" })
  t.contains(refusal { a = { "web1", "web1" } }, "'web1' is in it twice")
end)

t.test("nothing that ssh or a shell could take for something else is a host", function()
  for _, word in ipairs { "-oProxyCommand=x", "a b", "a;b", "$(id)", "`id`", "a\nb", "", "a'b" } do
    t.contains(refusal { web = { address = word } }, "address: expected a name")
    t.contains(refusal { web = { address = "x", user = word } }, "user: expected a name")
    t.contains(refusal { web = { address = "x", jump = word } }, "jump: expected a name")
  end
  t.contains(refusal { web = { address = "x", key = 'a"b' } }, "key: expected the path of a file")
  t.contains(refusal { web = { address = "x", port = 70000 } }, "port: expected a number")
  local message, hint = refusal { web = { adress = "x" } }
  t.contains(message, "unknown field 'adress'")
  t.equal(hint, "did you mean 'address'?")
  t.contains(refusal { web = { "a", { "b" } } }, "a group stands in no group")
  t.contains(refusal { web = { address = "x", reads = { "" } } }, "reads: item 1")
end)

t.test("host keys are always checked, nobody is asked, and no user's file makes that weaker", function()
  local words = ssh_options.words({ address = "x", key = "/k/50%", known_hosts = "/a b" }, { connect_timeout = 2.5 })
  local line = table.concat(words, " ")
  for _, option in ipairs { "BatchMode=yes", "StrictHostKeyChecking=yes", "ForwardAgent=no", "ClearAllForwardings=yes" } do
    t.contains(line, "-o " .. option)
  end
  t.contains(line, '-o IdentityFile="/k/50%%" -o IdentitiesOnly=yes')
  t.contains(line, '-o UserKnownHostsFile="/a b" -o GlobalKnownHostsFile=none')
  t.contains(line, "-o ConnectTimeout=3")
  local through = ssh_options.through("/s", "x", "line")
  t.contains(table.concat(through, " "), "-o ProxyCommand=false") -- without the connection it fails, nothing else
end)

t.test("a host behind another one is reached with that one's own settings", function()
  local proxy = ssh_options.proxy({ address = "bastion", user = "jo", key = "/k/a%b" }, { connect_timeout = 5 })
  t.contains(proxy, "ssh -o BatchMode=yes")
  t.contains(proxy, [[-o 'IdentityFile="/k/a%%%%b"']]) -- doubled twice: for that ssh, and for ours
  t.contains(proxy, "-W '[%h]:%p' -- bastion")
end)

--- What a shell makes of a command line, with this on its standard input.
local function run_in(shell, line, input)
  local names = { os.tmpname(), os.tmpname() }
  for i, text in ipairs { line, input or "" } do
    local file = io.open(names[i], "wb")
    file:write(text)
    file:close()
  end
  local pipe = io.popen(("%s -c \"$(cat %s)\" <%s 2>&1"):format(shell, names[1], names[2]))
  local said = pipe:read "a"
  local _, _, code = pipe:close()
  os.remove(names[1])
  os.remove(names[2])
  return said, code
end

local shells = {}
for _, shell in ipairs { "dash", "bash", "zsh", "ksh", "fish", "busybox sh" } do
  if os.execute(("command -v %s >/dev/null 2>&1"):format(shell:match "%S+")) then
    shells[#shells + 1] = shell
  end
end

local nasty = {
  "", " ", "a b", "it's", "''", "'\\''", "$HOME", "${x}", "`id`", "$(id)", "a\nb", "\n", "--", "-x", "-", "\\", "\\\\", "a\\'b", "\\n",
  '"', "é✓", "!x", "*", "~", "#c", "a;b", "\t", "%s", "\xff\xfe", "&|<>", "{a,b}", "a=b", "\r", "[a]", "(x)", "a\\",
}

t.test("every word arrives as it was, whatever it holds, in every shell there is here", function()
  t.ok(#shells >= 2, "dash and bash are everywhere")
  local random = 12345
  for _ = 1, 200 do -- and words made of all that at random
    local word = {}
    for i = 1, 1 + random % 5 do
      random = (random * 1103515245 + 12345) % 2147483648
      word[i] = nasty[1 + (random >> 8) % #nasty]
    end
    nasty[#nasty + 1] = table.concat(word)
  end
  local line = remote.command({ argv = { "printf", "%s\\0", table.unpack(nasty) }, cwd = "/tmp" }, "mark")
  for _, shell in ipairs(shells) do
    local got = {}
    for word in run_in(shell, line):gmatch "([^\0]*)\0" do
      got[#got + 1] = word
    end
    t.equal(#got, #nasty, shell)
    for i, word in ipairs(nasty) do
      t.equal(got[i], word, shell)
    end
  end
end)

t.test("the environment travels in front of the input, not on the command line; both arrive whole", function()
  local env = { A = "x\ny\n", B = "", C = "q'\\\"$(id)", D = " lead\ttab ", E = "mark2" }
  local line, parts = remote.command({ argv = { "sh", "-c", 'for v in "$A" "$B" "$C" "$D" "$E"; do printf "<%s>" "$v"; done; cat' },
    env = env, stdin = "the input\nA\n" }, "mark")
  t.equal(line:find("q'", 1, true), nil)
  t.equal(line:find("lead", 1, true), nil)
  for _, shell in ipairs(shells) do
    t.equal(run_in(shell, line, table.concat(parts)), "<x\ny\n><><q'\\\"$(id)>< lead\ttab ><mark2>the input\nA\n", shell)
  end
end)

t.test("an exit code of 255, a missing command and a missing directory are told from a broken connection", function()
  local said, code = run_in("dash", (remote.command({ argv = { "sh", "-c", "echo oops >&2; exit 255" } }, "opsrun:r:1")))
  t.equal(code, 255)
  t.equal({ remote.verdict(said, "opsrun:r:1") }, { "255", "oops\n" })
  t.equal(remote.verdict(run_in("dash", (remote.command({ argv = { "no-such-command" } }, "m"))), "m"), "missing")
  t.equal(remote.verdict(run_in("dash", (remote.command({ argv = { "id" }, cwd = "/no" }, "m"))):match "m cwd\n", "m"), "cwd")
  t.equal(remote.verdict("client_loop: send disconnect: Broken pipe\n", "m"), nil)
  t.equal(select(2, run_in("dash", (remote.command({ argv = { "sh", "-c", "exit 42" } }, "m")))), 42)
  t.equal(select(2, run_in("dash", (remote.command({ argv = { "sh", "-c", "kill -9 $$" } }, "m")))), 137)
end)

t.test("with a terminal plain values become words; as another user only named variables are kept", function()
  local line, input = remote.command({ argv = { "id" }, env = { A = "1", B = "x y" }, tty = true }, "m")
  t.contains(line, "m env A=1 'B=x y' id")
  t.equal(input, nil)
  line = remote.command({ argv = { "id" }, env = { A = "1" }, user = "app", cwd = "/srv" }, "m")
  t.contains(line, "sudo -n --preserve-env=A -u")
  t.contains(line, " m /srv app id")
end)

t.test("on another host only what somebody vouches for is a read", function()
  local function declared(given, list)
    if type(given) == "string" then
      return reads.is_declared({ script = given, argv = { "bash", "-c", given } }, list)
    end
    return reads.is_declared({ argv = given }, list)
  end
  t.equal(declared({ "systemctl", "show", "app" }), true)
  t.equal(declared({ "systemctl", "restart", "app" }), false)
  t.equal(declared({ "df", "-P" }), true)
  t.equal(declared({ "df", "--sync" }), false)
  t.equal(declared({ "cat", "/etc/motd" }), false)
  t.equal(declared({ "cat", "/etc/motd" }, { "cat" }), true)
  t.equal(declared({ "journalctl", "-u", "app" }, { "journalctl -u" }), true)
  t.equal(declared({ "journalctl", "--rotate" }, { "journalctl -u" }), false)
  t.equal(declared("ps | wc -l", { "ps" }), false)
  t.equal(declared("ps | wc -l", { " ps | wc -l\n" }), true)
end)

t.test("facts below /proc are reads on any host, and nothing else that cat could open", function()
  local function declared(...)
    return reads.is_declared({ argv = { "cat", ... } })
  end
  t.equal(declared("/proc/stat", "/proc/1/stat", "/proc/4211/status"), true)
  t.equal(declared "/sys/fs/cgroup/system.slice/app.service/memory.max", true)
  t.equal(declared("/proc/net/tcp", "/proc/net/tcp6"), true)
  t.equal(declared("/proc/stat", "/etc/shadow"), false)
  t.equal(declared "/proc/kmsg", false)
  t.equal(declared "/proc/1/environ", false)
  t.equal(declared "/proc/1/cmdline", false)
  t.equal(declared "/proc/stat/../../etc/shadow", false)
  t.equal(declared "/sys/fs/cgroup/../../../etc/memory.max", false)
  t.equal(declared("-n", "/proc/stat"), false)
  t.equal(reads.is_declared { argv = { "docker", "stats", "--no-stream" } }, true)
  t.equal(reads.is_declared { argv = { "docker", "stats" } }, false)
end)

t.test("what ssh says becomes what happened, where, and what to try", function()
  local function told(said)
    local err = t.raises(ssh_texts.raise_connect, "web1", said)
    t.equal(err.outcome, "not sent")
    t.contains(err.message, "cannot connect to host 'web1': ")
    return err
  end
  local changed = told("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nOffending ED25519 key in /k:3\n"
    .. "Host key verification failed.\n")
  t.equal(changed.kind, "refused")
  t.equal(changed.code, "host key changed")
  t.contains(changed.message, "(/k, line 3)")
  t.equal(told("No ED25519 host key is known for x and you have requested strict checking.\n").kind, "refused")
  t.equal(told("root@x: Permission denied (publickey).\n").code, "denied")
  t.contains(told("ssh: Could not resolve hostname nope: Name or service not known\n").message, "'nope'")
  t.equal(told("ssh: connect to host x port 22: Connection refused\n").code, "refused")
  t.equal(told("ssh: connect to host x port 22: Connection timed out\n").code, "timeout")
  t.contains(told("something new\n").message, "something new")
  t.contains(told("").message, "without a word")
  t.equal(ssh_texts.was_not_sent("mux_client_request_session: session request failed: Session open refused by peer\n"), true)
  t.equal(ssh_texts.was_not_sent("Read from remote host x: Connection reset by peer\n"), false)
end)
