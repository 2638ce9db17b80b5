--- stdlib/health and stdlib/disks over pretend primitives: what counts as a figure, as fresh, as ours.
local t = require "harness"

local clock = 1795246200      -- 2026-11-21T07:30:00Z

local function load_module(name, more)
  local env = {
    ipairs = ipairs, pairs = pairs, math = math, table = table, tostring = tostring, tonumber = tonumber, type = type,
    now = function() return { epoch = clock } end,
    fail = function(fmt, ...) error(fmt:format(...), 0) end,
  }
  for key, value in pairs(more or {}) do
    env[key] = value
  end
  return assert(loadfile("stdlib/" .. name .. ".lua", "t", env))()
end

--- An answer with these values at these paths.
local function answer(values)
  return {
    at = function(_, path) return values[path] end,
    need = function(_, path) return values[path] or error("no " .. path, 0) end,
  }
end

t.test("a time is understood with and without a zone, in seconds and milliseconds", function()
  local health = load_module "health"
  for _, text in ipairs { "2026-11-21T07:30:00Z", "2026-11-21 07:30:00", "2026-11-21T08:30:00+01:00", "2026-11-21T02:00:00-0530" } do
    t.equal(health.epoch(text), clock + 0.0)
  end
  t.equal(health.epoch "2026-11-21T07:30:00.5Z", clock + 0.5)
  t.equal(health.epoch "1970-01-01T00:00:00Z", 0.0)
  t.equal(health.epoch "2024-02-29T00:00:00Z", 1709164800.0)
  t.equal(health.epoch(clock), clock)
  t.equal(health.epoch(clock * 1000), clock + 0.0)
  for _, text in ipairs { "yesterday", "", "2026-11-21", "2026-11-21T07:30:00 noon" } do
    t.equal(health.epoch(text), nil)
  end
end)

t.test("an answer without a timestamp has no age", function()
  local health = load_module "health"
  t.equal(health.age(answer { timestamp = "2026-11-21T07:25:00Z" }), 300)
  t.equal(health.age(answer { ["data.timestamp"] = clock + 5 }), 0)
  t.equal(health.age(answer {}), nil)
end)

t.test("a figure stands at the top or under data; one that is missing or no number raises", function()
  local health = load_module "health"
  t.equal(health.number(answer { ["data.depth"] = 0 }, "depth"), 0)
  t.equal(health.number(answer { depth = "12.5" }, "depth"), 12.5)
  t.equal(pcall(health.number, answer {}, "depth"), false)
  t.equal(select(2, pcall(health.number, answer { depth = "many" }, "depth")), "'depth' of the answer is no number: many")
end)

t.test("memory is a percentage of what there is, and unknown without it", function()
  local health = load_module "health"
  t.equal(health.memory(answer { memory = { used = 96, total = 512 } }), 18.8)
  t.equal(health.memory(answer { memory = { used = 96 } }), nil)
  t.equal(health.memory(answer { memory = { used = 0, total = 0 } }), nil)
  t.equal(health.memory(answer { memory = "much" }), nil)
end)

t.test("disks of others, images and ignored mounts are left out; where /var lies is said", function()
  local systems = {
    { mount = "/", type = "ext4" }, { mount = "/mnt/share", type = "nfs4" }, { mount = "/va", type = "xfs" },
    { mount = "/snap/core", type = "squashfs", read_only = true }, { mount = "/scratch", type = "tmpfs" },
  }
  local disks = load_module("disks", { files = { filesystems = function() return systems end } })
  local labels = {}
  for _, system in ipairs(disks.own { "/scratch" }) do
    labels[#labels + 1] = system.label
  end
  t.equal(labels, { "/ with /var", "/va" })
  systems[#systems + 1] = { mount = "/var", type = "ext4" }
  t.equal(disks.own()[1].label, "/")
  t.equal(disks.holding(systems, "/var/log").mount, "/var")
end)
