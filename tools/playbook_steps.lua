--- The steps a playbook declares, without the host: its top level is played with pretend primitives. Steps that are
--- declared inside a step are not seen.
local step_options = require "runtime.step_options"
local source = require "tools.source"

--- Whatever is done with it, it is this again: what a playbook's top level may ask of a module of stdlib.
local anything
anything = setmetatable({}, {
  __index = function() return anything end,
  __call = function() return anything end,
})

local NAMES = { "ipairs", "pairs", "next", "select", "tostring", "tonumber", "type", "string", "table", "math", "utf8", "error", "assert" }

--- What a playbook declares.
---@param path string
---@return table declared header (the table given to `playbook`), ids (set of the steps' and groups' ids)
return function(path)
  local declared = { ids = {} }
  local function declare(kind)
    return function(name, opts, fn)
      local node = step_options.node(kind, path, name, opts, fn)
      declared.ids[node.id] = true
      if kind == "group" then node.fn() end
      return anything
    end
  end
  local env = {
    playbook = function(header) declared.header = header end,
    step = declare "step", group = declare "group",
    require = function() return anything end,
  }
  for _, name in ipairs(NAMES) do env[name] = _G[name] end
  assert(load(source.read(path), "@" .. path, "t", setmetatable(env, { __index = function() return anything end })))()
  return declared
end
