--- OPSRUN_TRACE=1 marks in a trace of system calls (strace) where the gate takes an effect and where it is done with
--- it: whatever acts on the outside has to lie between two marks. tests/e2e/test_trace.py proves that it does.
local trace = {}

--- Runs fn between two marks; returns what it returns, raises what it raises.
local function marked(mark, name, fn, ...)
  mark("opsrun begin " .. name)
  local results = table.pack(pcall(fn, ...))
  mark("opsrun finish " .. name)
  if not results[1] then
    error(results[2], 0)
  end
  return table.unpack(results, 2, results.n)
end

--- Marks every effect from here on, when this process was told to.
---@param host table
---@param gate table whose `call` is replaced
function trace.open(host, gate)
  if trace.mark or host.system.env "OPSRUN_TRACE" ~= "1" then
    return
  end
  trace.mark = host.system.mark
  local call = gate.call
  gate.call = function(kind, args, where)
    return marked(trace.mark, kind, call, kind, args, where)
  end
end

--- What is no effect and goes outside all the same, marked as well: connections that say goodbye, a look for what a
--- killed run had begun.
---@param name string
---@param fn function called with ...; its results
function trace.beside(name, fn, ...)
  if trace.mark then
    return marked(trace.mark, name, fn, ...)
  end
  return fn(...)
end

return trace
