--- SCAN, page by page: what each key is asked (`with`) goes out in the same write as the SCAN for the
--- next keys, so that the keys of a page and their facts cost one round trip.
local classify = require "runtime.redis.classify"
local errors = require "runtime.errors"
local words = require "runtime.redis.words"
local scan = {}

--- Keys that the server looks at a round, and keys handed over a page, about.
local COUNT, PAGE = 1000, 4000
--- With these bounds a round stays far below what one batch may hold.
local MOST_COUNT, MOST_WITH = 10000, 5
--- A server whose keys match rarely answers many rounds with nothing: so many in one effect.
local ROUNDS = 64

local function misuse(message, ...)
  error(errors.wrap("redis:scan: " .. message:format(...), 0), 0)
end

local function whole(opts, name, most, otherwise)
  local value = opts[name]
  if value == nil then
    return otherwise
  elseif math.type(value) ~= "integer" or value < 1 or value > most then
    misuse("'%s': expected a whole number from 1 to %.0f", name, most)
  end
  return value
end

--- The commands of `with`: "ttl", "memory usage", "memory usage * samples 0" (* is the key, else last).
local function read_with(list, trusted)
  local commands = {}
  if list ~= nil and type(list) ~= "table" then
    list = { list }
  end
  if #(list or {}) > MOST_WITH then
    misuse("'with': at most %d questions about each key", MOST_WITH)
  end
  for i, text in ipairs(list or {}) do
    if type(text) ~= "string" then
      misuse("'with': expected texts such as \"ttl\", got %s", type(text))
    end
    local command, at = {}, nil
    for word in text:gmatch "%S+" do
      command[#command + 1] = word
      at = word == "*" and #command or at
    end
    if #command == 0 then
      misuse "'with': an empty text"
    end
    command[1] = command[1]:upper()
    local class = classify.command(command, trusted)
    if class.refused or class.class ~= "read" then
      error(errors.refused {
        message = ("'%s' of 'with' is no read"):format(text),
        hint = "scan only looks: change the keys it finds in a call of its own",
      }, 0)
    end
    commands[i] = { words = command, at = at or #command + 1, class = class }
  end
  return commands
end

--- What a call asks for. `more` is where the page before ended.
function scan.request(opts, more, trusted)
  local request = {
    cursor = more and more.cursor or "0",
    given = more and more.given or 0,
    count = whole(opts, "count", MOST_COUNT, COUNT),
    cap = whole(opts, "cap", 2 ^ 53),
    with = read_with(opts.with, trusted),
    tail = {},
  }
  for _, name in ipairs { "match", "type" } do
    if opts[name] ~= nil and type(opts[name]) ~= "string" then
      misuse("'%s': expected text, got %s", name, type(opts[name]))
    elseif opts[name] then
      request.tail[#request.tail + 1] = name:upper()
      request.tail[#request.tail + 1] = opts[name]
    end
  end
  return request
end

--- The classes of all commands a scan sends.
function scan.classes(request)
  local classes = { classify.command { "SCAN" } }
  for _, command in ipairs(request.with) do
    classes[#classes + 1] = command.class
  end
  return classes
end

local function next_scan(request, cursor)
  return { "SCAN", cursor, "COUNT", request.count, table.unpack(request.tail) }
end

--- The questions about all keys, question by question: the host makes a command of each for each key.
local function add_questions(commands, request, keys)
  if #keys == 0 then
    return
  end
  for i, command in ipairs(request.with) do
    local list = table.move(command.words, 1, #command.words, 1, { keys = keys, at = command.at })
    list[command.at] = "" -- the key's place
    commands[i] = list
  end
end

--- A key that went away, or holds another type, has no such fact; anything else is a failure.
local function check_errors(replies, found)
  for index, err in pairs(found or {}) do
    if err.code ~= "WRONGTYPE" and not err.message:find "no such key" then
      return nil, err
    end
    replies[index] = false
  end
  return true
end

--- Fetches one page.
---@param request table of scan.request
---@param run fun(commands: table): table?, table? sends a batch
---@return table? page {items, width, more}, table? error
function scan.page(request, run)
  local width = #request.with + 1
  local page = { items = {}, width = width }
  local items, filled, pending, cursor = page.items, 0, {}, request.cursor
  local room = request.cap and request.cap - request.given or math.huge
  for round = 1, ROUNDS do
    local commands = {}
    add_questions(commands, request, pending)
    local last = cursor == nil or #pending >= room or filled // width + #pending >= PAGE or round == ROUNDS
    if not last then
      commands[#commands + 1] = next_scan(request, cursor)
    end
    local replies = {}
    if #commands > 0 then
      local found
      replies, found = run(commands)
      if not replies then
        return nil, found
      end
      local fine, err = check_errors(replies, found)
      if not fine then
        return nil, err
      end
    end
    local count = #pending
    for i = 1, count do
      items[filled + 1] = pending[i]
      for question = 1, width - 1 do
        items[filled + 1 + question] = replies[(question - 1) * count + i]
      end
      filled = filled + width
    end
    room = room - #pending
    if last then
      break
    end
    cursor, pending = replies[#replies][1], replies[#replies][2]
    if cursor == "0" then
      cursor = nil
    end
    if #pending > room then
      pending, cursor = table.move(pending, 1, room, 1, {}), nil
    end
  end
  if cursor and room > 0 then
    page.more = { cursor = cursor, given = request.given + filled // width }
  end
  return page
end

--- A scan in one line.
function scan.summary(request)
  local parts = {}
  for i = 1, #request.tail, 2 do
    parts[#parts + 1] = ("%s %s"):format(request.tail[i]:lower(), words.show_word(request.tail[i + 1]))
  end
  for _, command in ipairs(request.with) do
    parts[#parts + 1] = "with " .. table.concat(command.words, " "):lower()
  end
  return #parts > 0 and table.concat(parts, ", ") or "all keys"
end

return scan
