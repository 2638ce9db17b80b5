--- Random numbers of playbooks. A run draws one seed when it starts and records it; every step, attempt and branch
--- has a sequence of its own that follows from the seed and its place. So a run that is gone on with gets the same
--- numbers in a step, whatever steps it leaves out before.
local context = require "runtime.context"
local errors = require "runtime.errors"
local random = {}

--- Bytes of one block: those of a SHA-256.
local BLOCK = 32

--- A sequence of bytes that follows from its seed: SHA-256 over the seed and a count.
---@param sha256 fun(text: string): string hex digits
---@param seed string
---@return fun(n: integer): string the next n bytes
function random.new(sha256, seed)
  local count, rest = 0, ""
  return function(n)
    while #rest < n do
      count = count + 1
      rest = rest .. sha256(("%s\0%d"):format(seed, count)):gsub("%x%x", function(digits)
        return string.char(tonumber(digits, 16))
      end):sub(1, BLOCK)
    end
    local bytes = rest:sub(1, n)
    rest = rest:sub(n + 1)
    return bytes
  end
end

--- The place a call has in its run, as a seed.
local function seed_of(current, own)
  return table.concat({ current.run.seed, current.path, current.step.id, current.attempt, current.branch, own }, "\0")
end

--- The running step's context; numbers drawn while a playbook loads could not be told again.
local function need(what)
  local current = context.need(what)
  if not current.run.seed then
    error(errors.bug { message = "the run has no seed" }, 0)
  end
  return current
end

--- What math.random and math.randomseed of the sandbox stand on.
---@param host table
---@return {bytes: (fun(n: integer): string), seed: fun(seed: string)}
function random.source(host)
  local source = {}

  --- The next n bytes of the running branch.
  function source.bytes(n)
    local current = need "math.random"
    local sequence = rawget(current, "random") or random.new(host.digest.sha256, seed_of(current, ""))
    current.random = sequence
    return sequence(n)
  end

  --- Begins the running branch's sequence anew: the run's seed stays part of it.
  function source.seed(seed)
    local current = need "math.randomseed"
    current.random = random.new(host.digest.sha256, seed_of(current, seed))
  end

  return source
end

return random
