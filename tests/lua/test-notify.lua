--- The notify primitive over a pretend host: who is told, what they get, what failing channels do.
local t = require "harness"
local channels = require "runtime.channels"
local errors = require "runtime.errors"
local new_adapter = require "runtime.primitives.notify"

local posted, shown, ran

--- A task library that runs each task at once.
local task = {
  spawn = function(fn)
    return table.pack(pcall(fn))
  end,
  join = function(results)
    return table.unpack(results, 1, results.n)
  end,
  cancel = function() end,
}

local function encode(value)
  local names, parts = {}, {}
  for name in pairs(value) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    parts[i] = name .. "=" .. tostring(value[name])
  end
  return table.concat(parts, "|")
end

--- An adapter whose "team" has these channels; a webhook answers by the port of its URL.
local function adapter_with(list)
  posted, shown, ran = {}, {}, {}
  return new_adapter {
    run = { id = "1121-0312-x", playbook = "incident/x.lua" },
    environment = {
      name = "lab",
      connection = function(kind, name)
        t.equal({ kind, name }, { "notify", "team" })
        return list
      end,
    },
    host = {
      json = { encode = encode },
      mask = { apply = function(text) return (text:gsub("hunter22", "***")) end },
      random = { hex = function() return "aabb" end },
      term = { message = function(kind, text) shown[#shown + 1] = kind .. ": " .. text end },
      task = task,
      process = {
        run = function(given)
          ran[#ran + 1] = given
          return { code = given.argv[1] == "fails" and 3 or 0, stderr = "because\n" }
        end,
      },
      http = {
        request = function(given)
          posted[#posted + 1] = given
          local status = tonumber(given.url:match ":(%d+)/")
          if status == 1 then
            return nil, { message = "cannot connect to 'x': connection refused", outcome = "not sent" }
          end
          return { status = status or 200, body = "hunter22 no_service" }
        end,
      },
    },
  }
end

local function tell(adapter, text, opts)
  local effect = adapter.describe("send", { name = "team", text, opts = opts or {} })
  return adapter.perform("send", effect.request, adapter.prepare("send", effect.request)), effect
end

local function raised(f)
  local ok, err = pcall(f)
  assert(not ok, "nothing was raised")
  return errors.wrap(err)
end

t.test("a message reaches every channel with run, environment and playbook", function()
  local adapter = adapter_with {
    { slack = "https://hooks.test/s" }, { webhook = "https://w.test/h", bearer = "tok" }, { terminal = true },
    { command = { "tell-us", "-v" } },
  }
  local result = tell(adapter, "pool is full", { severity = "critical", title = "Database" })
  t.equal(result.sent, { "slack", "webhook", "terminal", "command" })
  t.equal(result.failed, {})
  t.equal(posted[1].body, "text=[critical] Database: pool is full\n_run 1121-0312-x, lab, incident/x.lua_")
  t.equal(posted[2].body, "environment=lab|id=aabb|playbook=incident/x.lua|run=1121-0312-x|schema=1"
    .. "|severity=critical|text=pool is full|title=Database")
  t.equal(posted[2].bearer, "tok")
  t.equal(posted[2].headers[2], { "Idempotency-Key", "aabb" })
  t.equal(shown[1], "note: [critical] Database: pool is full (run 1121-0312-x, lab, incident/x.lua)")
  t.equal({ ran[1].argv[1], ran[1].stdin }, { "tell-us", posted[2].body .. "\n" })
end)

t.test("one failing channel hides no other", function()
  local adapter = adapter_with {
    { webhook = "http://a:1/" }, { slack = "http://a:404/" }, { command = { "fails" } }, { terminal = true },
  }
  local result = tell(adapter, "text")
  t.equal(result.sent, { "terminal" })
  t.equal(result.failed, {
    { channel = "webhook", message = "cannot connect to 'x': connection refused" },
    { channel = "slack", message = "answered 404: *** no_service" },
    { channel = "command", message = "'fails' exited with 3: because" },
  })
end)

t.test("only when all failed is it an error, which names each", function()
  local adapter = adapter_with { { webhook = "http://a:1/" }, { slack = "http://a:500/" } }
  local err = raised(function() tell(adapter, "text") end)
  t.equal(err.message, "nobody behind 'team' could be told: webhook: cannot connect to 'x': connection refused; "
    .. "slack: answered 500: *** no_service")
  t.equal({ err.kind, err.outcome }, { "effect", "failed" })
end)

t.test("text for Slack cannot wake everybody", function()
  local adapter = adapter_with { { slack = "https://hooks.test/s" } }
  tell(adapter, "<!channel> a & b")
  t.equal(posted[1].body:match "^text=([^\n]*)", "&lt;!channel&gt; a &amp; b")
end)

t.test("secrets are masked before a message leaves, and no URL is in the summary", function()
  local adapter = adapter_with { { webhook = "https://w.test/very-secret" } }
  local _, effect = tell(adapter, "password is hunter22", { title = "hunter22" })
  t.equal(posted[1].body:find "hunter22", nil)
  t.equal(effect.summary, 'tell "team" (webhook): ***: password is ***')
  t.equal(effect.uses, { "notify", "team" })
end)

t.test("once tells once in a run, over a resume too", function()
  local adapter = adapter_with { { webhook = "https://w.test/h" } }
  tell(adapter, "text", { once = "full" })
  t.equal(tell(adapter, "text", { once = "full" }).repeated, true)
  tell(adapter, "text", { once = "other" })
  t.equal(#posted, 2)
  adapter = adapter_with { { webhook = "https://w.test/h" } }
  adapter.revive("send", { sent = { "webhook" }, failed = {}, once = "full" })
  tell(adapter, "text", { once = "full" })
  t.equal(#posted, 0)
end)

t.test("an unknown kind of channel says which there are", function()
  local message, hint = channels.check("team", { { terminal = true }, { pager = "x" } })
  t.equal(message, "notify 'team', channel 2: no such kind of channel 'pager'")
  t.equal(hint, "there are: command, email, pagerduty, slack, terminal, webhook")
  t.equal(channels.check("team", { { slack = "hooks.test" } }),
    "notify 'team', channel 1: 'slack' is not the URL of an incoming webhook")
  t.equal(channels.check("team", { { slack = "https://h.test/", bearer = "x" } }),
    "notify 'team', channel 1: 'slack' takes no 'bearer'")
  t.equal(channels.check("team", {}), "notify 'team': expected a list of channels")
  t.equal(channels.check("team", { { command = { "a" } }, { slack = {} } }), nil)
  t.equal(raised(function() tell(adapter_with { { sms = "1" } }, "text") end).kind, "precondition")
end)

t.test("an unknown severity is named", function()
  local err = raised(function() tell(adapter_with { { terminal = true } }, "x", { severity = "hot" }) end)
  t.equal(err.message, "notify: severity 'hot' is unknown")
end)

t.test("an overlong text is cut at a whole character", function()
  local adapter = adapter_with { { webhook = "https://w.test/h" } }
  local _, effect = tell(adapter, ("ä"):rep(5000))
  t.equal(utf8.len(effect.request.message.text) ~= nil, true)
  t.equal(#effect.request.message.text <= 8003, true)
end)
