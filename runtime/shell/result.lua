--- What a command answered, as a playbook sees it: {code, stdout, stderr, text, truncated} with :lines()
--- and :rows().
local errors = require "runtime.errors"
local words = require "runtime.text"
local result = {}

--- What is remembered beside the fields, so that showing a result does not show it.
local facts = setmetatable({}, { __mode = "k" })

local methods = {}

--- The lines of stdout, without their ends. An empty output has none.
---@return string[]
function methods.lines(answer)
  local list = {}
  for line in answer.text:gmatch "[^\n]*" do
    list[#list + 1] = (line:gsub("\r$", ""))
  end
  return answer.text == "" and {} or list
end

--- One JSON object a line, as rows. Blank lines are passed over.
---@return table[]
function methods.rows(answer)
  local known = facts[answer]
  local function fail(message, hint)
    error(errors.effect { message = message, code = "not json", outcome = "done", hint = hint }, 0)
  end
  if answer.truncated then
    fail(
      ("the output of '%s' is too long for rows: %d bytes"):format(known.summary, known.stdout_bytes),
      "let the command itself print less"
    )
  end
  local rows = {}
  for number, line in ipairs(answer:lines()) do
    if line:find "%S" then
      local row, why = known.json.decode(line)
      if row == nil then
        fail(("line %d of '%s' is not JSON: %s"):format(number, known.summary, tostring(why)), "it reads: " .. words.cut(line, 200))
      end
      rows[#rows + 1] = row
    end
  end
  return rows
end

local mt = { __name = "shell result", __metatable = "shell result" }
mt.__index = methods

--- Gives a command's answer its methods.
---@param plain table {code, stdout, stderr, truncated, stdout_bytes, proved, reason, signal, path, size} path, size:
--- of the artifact that stdout went to
---@param summary string the command
---@param json table host.json
function result.new(plain, summary, json)
  local answer = {
    code = plain.code,
    stdout = plain.stdout,
    stderr = plain.stderr,
    text = (plain.stdout:gsub("\r?\n$", "")),
    truncated = plain.truncated or false,
    signal = plain.signal,
    proved = plain.proved,
    reason = plain.reason,
    path = plain.path,
    size = plain.size,
  }
  facts[answer] = { summary = summary, json = json, stdout_bytes = plain.stdout_bytes or #plain.stdout }
  return setmetatable(answer, mt)
end

--- What the journal keeps.
function result.plain(answer)
  local known = facts[answer] or {}
  local kept = { summary = known.summary, stdout_bytes = known.stdout_bytes }
  for _, name in ipairs { "code", "stdout", "stderr", "truncated", "signal", "proved", "reason", "path", "size" } do
    kept[name] = answer[name]
  end
  return kept
end

return result
