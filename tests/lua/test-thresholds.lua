--- Named thresholds: which file says what, who wins, what is refused.
local t = require "harness"
local load_host = require "load_host"
local threshold_files = require "runtime.threshold_files"

local function load(files, options)
  options = options or {}
  local host = load_host.new({ files = files, env = options.env }).host
  return threshold_files.load(host, options.config, options.environment or "lab", { thresholds = options.header })
end

local function refusal(text)
  local err = t.raises(load, { ["thresholds/default.lua"] = text })
  t.equal(err.kind, "precondition")
  return err.message, err.hint
end

local function limit(percent)
  return ("return { disk_used = { above = { warning = %d } } }"):format(percent)
end

local SHIPPED = "/opt/opsrun/thresholds/default.lua"

t.test("the environment's file wins over the header, the header over default.lua, that over the shipped one", function()
  local files = { [SHIPPED] = limit(1) }
  local function warning(options)
    return load(files, options).disk_used.threshold.above.warning
  end
  local header = { disk_used = { above = { warning = 3 } } }
  t.equal(warning(), 1)
  files["thresholds/default.lua"] = limit(2)
  t.equal(warning(), 2)
  t.equal(warning { header = header }, 3)
  files["thresholds/lab.lua"] = limit(4)
  t.equal(warning { header = header }, 4)
  t.equal(warning { header = header, environment = "staging" }, 3)
end)

t.test("a file says otherwise only what it names", function()
  local named = load {
    [SHIPPED] = "return { a = { below = { critical = 1 } }, b = { expect = 1 } }",
    ["thresholds/lab.lua"] = "return { b = { expect = 2 } }",
  }
  t.equal(named.a.from, SHIPPED)
  t.equal(named.b.threshold.expect, 2)
  t.equal(named.b.from, "thresholds/lab.lua")
end)

t.test("files are looked for where environments are: --config, the system's, the user's, here", function()
  local files = {
    ["conf/thresholds/lab.lua"] = limit(1), ["/etc/opsrun/thresholds/lab.lua"] = limit(2),
    ["/home/op/.config/opsrun/thresholds/lab.lua"] = limit(3), ["thresholds/lab.lua"] = limit(4),
  }
  for _, case in ipairs {
    { "conf/thresholds/lab.lua", 1 }, { "/etc/opsrun/thresholds/lab.lua", 2 },
    { "/home/op/.config/opsrun/thresholds/lab.lua", 3 }, { "thresholds/lab.lua", 4 },
  } do
    t.equal(load(files, { config = "conf" }).disk_used.threshold.above.warning, case[2])
    files[case[1]] = nil
  end
end)

t.test("an unknown name tells the nearest, or what there is", function()
  threshold_files.open(load_host.new { files = { [SHIPPED] = limit(1) } }.host)
  local run = { header = {}, options = {}, environment = { name = "lab" } }
  local threshold, problem, hint = threshold_files.find(run, "disk_usd")
  t.equal(threshold, nil)
  t.equal(problem, "no threshold 'disk_usd'")
  t.equal(hint, "did you mean 'disk_used'?")
  t.equal(select(3, threshold_files.find(run, "weather")), "there are: disk_used")
  t.equal(threshold_files.find(run, "disk_used").above.warning, 1)
end)

t.test("a file of thresholds is pure data: nothing is in reach, nothing is assigned", function()
  t.equal(refusal "return { a = tonumber '5' }", "thresholds 'thresholds/default.lua': 'tonumber' is not known here")
  t.equal(refusal "x = 5 return {}", "thresholds 'thresholds/default.lua': 'x' is assigned: write 'local x = …'")
  t.equal(refusal "return 5", "thresholds 'thresholds/default.lua': returns number, no table")
  t.contains(refusal "return {", "does not load")
  t.contains(refusal(("\27Lua")), "does not load")
end)

t.test("what is no threshold is refused by name", function()
  local function problem(text)
    return (refusal("return { disk = " .. text .. " }"):gsub("^thresholds 'thresholds/default.lua': ", ""))
  end
  t.equal(problem "5", "'disk': expected a table such as { above = { warning = 80, critical = 95 } }, got number")
  t.equal(problem "{ abve = {} }", "'disk': unknown field 'abve'")
  t.equal(problem "{ above = {} }", "'disk': above: expected {warning = …, critical = …}")
  t.equal(problem "{ above = { warn = 5 } }", "'disk': above: unknown limit 'warn'")
  t.equal(problem "{ unit = 5, expect = 1 }", "'disk': unit: expected a string, got number")
  t.equal(problem "{ unit = '%' }", "'disk': it has no limit: above, below, between, change or expect")
  t.equal(problem "{ change = { warning = 'much' } }", "'disk': change: warning: 'much' is no limit")
  t.equal(select(2, refusal "return { disk = { abve = {} } }"), "did you mean 'above'?")
end)

t.test("a file that others may write, or that is another user's, is refused", function()
  local function message(file)
    return t.raises(load, { ["thresholds/default.lua"] = file }).message
  end
  t.contains(message { text = limit(1), mode = tonumber("666", 8) }, "may be written by everybody")
  t.contains(message { text = limit(1), uid = 1234 }, "belongs to another user (uid 1234)")
end)

t.test("the shipped thresholds hold, and every one says where its numbers come from", function()
  local file = assert(io.open("thresholds/default.lua"))
  local named = load { [SHIPPED] = file:read "a" }
  file:close()
  local count = 0
  for name, entry in pairs(named) do
    t.ok(entry.threshold.source and #entry.threshold.source > 5, name)
    count = count + 1
  end
  t.ok(count >= 27, count)
  t.equal(named.connections_used.threshold.above, { warning = 80, critical = 95 })
end)
