--- opsrun verify RUN [--anchor TEXT|FILE]: is the journal what was written? The chain alone cannot say that nothing was
--- cut off or written anew; an anchor, kept elsewhere since the run's end, can.
local codes = require "runtime.codes"
local errors = require "runtime.errors"
local history = require "runtime.history"
local journal = require "runtime.journal"

--- Digits of an anchor's digest that prove enough: the report prints so many.
local least_digits = 32

--- "COUNT:DIGEST" from the words, or the last one in the file they name.
---@return {count: integer, digest: string}
local function read_anchor(host, given)
  local text = given
  if not given:find "^%d+:%x+$" then
    local content, err = host.files.read(given, 16 * 1024 * 1024)
    if not content then
      error(errors.usage { message = ("--anchor '%s': %s"):format(given, err.message) }, 0)
    end
    text = ""
    for found in content:gmatch "%f[%w]%d+:%x+%f[%W]" do
      text = #found:match ":(.*)" >= least_digits and found or text
    end
  end
  local count, digest = text:match "^(%d+):(%x+)$"
  if not count or #count > 15 or #digest < least_digits or #digest > 64 then
    error(errors.usage {
      message = ("--anchor '%s': expected COUNT:SHA256, or a file that holds one"):format(given),
      hint = "a live run prints it at its end, as 'anchor 42:3f9a…'; --json has it whole",
    }, 0)
  end
  return { count = math.tointeger(tonumber(count)), digest = digest:lower() }
end

--- Collects digests of blobs that a record names: the text of a field `blob` or `frozen`, the texts in `blobs`.
local function named_blobs(value, into, line)
  for key, item in pairs(value) do
    if type(item) == "table" then
      named_blobs(item, into, line)
      for _, digest in pairs(key == "blobs" and item or {}) do
        into[digest] = into[digest] or line
      end
    elseif (key == "blob" or key == "frozen") and type(item) == "string" then
      into[item] = into[item] or line
    end
  end
end

--- What is wrong with the blobs, or nil and how many there are.
---@return string? problem, integer count
local function check_blobs(look)
  local named, count = {}, 0
  for line, record in ipairs(look.records) do
    named_blobs(record, named, line)
  end
  for digest, line in pairs(named) do
    local _, err = look.fetch(digest)
    if err then
      return ("line %d names blob %s: %s"):format(line, digest, err.message), count
    end
    count = count + 1
  end
  for _, name in ipairs(look.blobs()) do
    if not named[name] then
      local _, err = look.fetch(name)
      if err then
        return ("blob %s, which no line names: %s"):format(name, err.message), count
      end
      count = count + 1
    end
  end
  return nil, count
end

--- What the anchor says of a whole chain.
---@return string verdict, string text, integer? line
local function compare(look, anchor)
  local count = #look.records
  if not anchor then
    return "unanchored", "the chain is whole, but without an anchor nobody knows whether its end was cut off or written anew"
  elseif count < anchor.count then
    return "tampered", ("the journal ends at line %d, the anchor knows %d"):format(count, anchor.count), count + 1
  elseif anchor.count < 1 or look.digest(anchor.count):sub(1, #anchor.digest) ~= anchor.digest then
    return "tampered", ("line %d is not the one that was anchored: it or one before it was changed"):format(anchor.count), anchor.count
  elseif count > anchor.count or look.torn then
    return "unanchored",
      ("lines 1 to %d are as they were anchored; what follows came later and no anchor covers it"):format(anchor.count)
  end
  return "ok", ("all %d lines are as they were anchored"):format(count)
end

local words = { ok = { "OK", "bold green" }, unanchored = { "UNANCHORED", "bold yellow" }, tampered = { "TAMPERED", "bold red" } }
local exits = { ok = codes.done, unanchored = codes.precondition, tampered = codes.failed }

---@return string verdict, string text, integer? line, integer blobs, integer records
local function judge(id, anchor)
  local look, err = journal.look(id)
  if not look then
    if err.code ~= "damaged" then
      error(errors.precondition { message = err.message, code = err.code }, 0)
    end
    return "tampered", err.message, err.line, 0, 0
  end
  local verdict, text, line = compare(look, anchor)
  local problem, blobs = check_blobs(look)
  if problem and verdict ~= "tampered" then
    verdict, text = "tampered", problem
  end
  look.close()
  return verdict, text, line, blobs, #look.records
end

---@param services {host: table, options: table}
---@return integer exit code
return function(services)
  local host, flags = services.host, services.options.flags
  local anchor = flags.anchor and read_anchor(host, flags.anchor)
  local id = history.find(services.options.words[1])
  local verdict, text, line, blobs, records = judge(id, anchor)
  if flags.json then
    host.term.out(host.json.encode {
      run = id, verdict = verdict, text = text, line = line, records = records, blobs = blobs,
    } .. "\n")
    return exits[verdict]
  end
  host.term.out(("%s  "):format(words[verdict][1]), words[verdict][2])
  host.term.out(("%s: %s\n"):format(id, text))
  if verdict ~= "tampered" then
    host.term.out(("    records %d, blobs %d\n"):format(records, blobs), "dim")
  end
  if verdict == "unanchored" and not anchor then
    host.term.out "    the run's report, or what its `tell` sent, has the anchor: opsrun verify RUN --anchor COUNT:SHA256\n"
  end
  return exits[verdict]
end
