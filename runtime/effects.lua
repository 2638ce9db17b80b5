--- Every primitive verb, as data: one row each, from the files in runtime/effects/. From the rows
--- come the faces playbooks call, their argument checks, the signature table, the editor stubs and
--- the reference index. No row holds a function.
---
---@class opsrun.EffectRow
---@field class "read"|"record"|"change"|"ask"|"tell"|"pure"  pure: computes, no effect; runtime/<module>/pure.lua
---@field module string    which adapter
---@field verb string      which verb of it
---@field face "handle"|"library"|"both"|"call"|"global"|"value"
--- in the same order: sql(n):query() | shell.read() | both | notify(n)(…) | confirm(…) | json.null
---@field params table     {{name, type}, …}; a type ending in ? may be nil
---@field options table?   names opts may hold, beside `effects.common`
---@field returns string
---@field help string      one line
---@field inner boolean?  looks at the run's own things, not at the world: what is rehearsed does not change them
---@field waits boolean?  time passes
---@field interactive boolean? a person answers; a dry run says "would ask"
---@field nameless boolean? the handle may be made without a name
---@field any_method boolean? every other method name of the handle is this verb with the name as its first argument
---@field pages boolean?  returns an iterator; each page {items, width, more} is an effect of its own
---@field each string?    an iterator: every step of it is an effect of that kind; runtime/<module>/pure.lua says which
---@field polled boolean?  may be asked over and over: not journaled inside a poll
local effects = { rows = {} }

--- Options every effect takes.
effects.common = { "id", "timeout", "on_dry", "costs", "happened", "summary" }

local files = {
  "runtime.effects.sql",
  "runtime.effects.http",
  "runtime.effects.redis",
  "runtime.effects.shell",
  "runtime.effects.service",
  "runtime.effects.files",
  "runtime.effects.logs",
  "runtime.effects.notify",
  "runtime.effects.json",
  "runtime.effects.run",
  "runtime.effects.state",
  "runtime.effects.secret",
  "runtime.effects.thresholds",
  "runtime.effects.time",
}

for _, file in ipairs(files) do
  for kind, row in pairs(require(file)) do
    row.kind = kind
    effects.rows[kind] = row
  end
end

--- The row of a kind; an unknown one is our own bug.
function effects.row(kind)
  return effects.rows[kind] or error("no effect row '" .. tostring(kind) .. "'", 2)
end

--- The rows' kinds in a stable order.
function effects.kinds()
  local kinds = {}
  for kind in pairs(effects.rows) do
    kinds[#kinds + 1] = kind
  end
  table.sort(kinds)
  return kinds
end

return effects
