--- All an author may call, and the book the steps are collected in: for every command that runs the top
--- level of a playbook.
local author_report = require "runtime.author.report"
local call = require "runtime.call"
local choose = require "runtime.author.choose"
local clock = require "runtime.author.clock"
local engine = require "runtime.engine"
local faces = require "runtime.faces"
local flow = require "runtime.author.flow"
local hold = require "runtime.author.hold"
local hosts = require "runtime.author.hosts"
local json = require "runtime.json.pure"
local pause = require "runtime.author.pause"
local stack = require "runtime.stack"

---@param host table
---@return table<string, any> globals, table declared {nodes, by_id}
return function(host)
  local globals, declared = engine.builder(host)
  local function add(functions)
    for name, fn in pairs(functions) do
      globals[name] = fn
    end
  end
  json.open(host.json, host.secret)
  add(faces.build(host))
  add(author_report.build(host))
  add(flow.build(host))
  add(stack.build(host, globals))
  add(hold.build(host))
  add(hosts.build(host))
  add(pause.build(host))
  add(choose.build(host))
  add(clock.build(host))
  add(call.build { host = host })
  return globals, declared
end
