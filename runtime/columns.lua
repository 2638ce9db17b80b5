--- Rows of two or three texts as aligned columns: what opsrun itself says of a playbook. On a terminal nothing is broken
--- within a word: what has no room beside stands below.
local table_text = require "runtime.table_text"
local text = require "runtime.text"

--- The last column is no narrower than this when it stands beside the others.
local LEAST = 24

--- Everything is moved in by so much, and columns stand so far apart.
local APART = 2

local function pad(said, width)
  return text.pad(said, width, table_text.width)
end

--- The widest text of a column among those of at most `most` columns; 0 when that leaves most of the rows out.
local function widest(rows, which, most)
  local width, count = 0, 0
  for _, row in ipairs(rows) do
    local own = table_text.width(row[which] or "")
    if own <= most then
      width, count = math.max(width, own), count + 1
    end
  end
  return 2 * count >= #rows and width or 0
end

--- The widest word of the second column.
local function widest_word(rows)
  local width = 0
  for _, row in ipairs(rows) do
    for word in row[2]:gmatch "%S+" do
      width = math.max(width, table_text.width(word))
    end
  end
  return width
end

--- Lines of rows, each line in two parts: what is said plainly, and what is said dim behind it (or "").
---@param rows string[][] two or three texts each; the third explains and is dim
---@param width integer? columns of the terminal; nil: nothing is broken
---@return {plain: string, dim: string}[]
return function(rows, width)
  local lines = {}
  local first = widest(rows, 1, width and math.max(width // 4, width - 2 * APART - widest_word(rows)) or math.huge)
  local indent = APART + first + APART
  local room = width and math.max(LEAST, width - indent) or math.huge
  local third = widest(rows, 3, math.huge)
  local second = widest(rows, 2, third > 0 and room - APART - math.min(third, LEAST) or room)
  local function add(lead, list, dim)
    for i, said in ipairs(list) do
      local before = i == 1 and lead or (" "):rep(table_text.width(lead))
      lines[#lines + 1] = dim and { plain = before, dim = said } or { plain = before .. said, dim = "" }
    end
  end
  local limit = width and room
  for _, row in ipairs(rows) do
    local lead = (" "):rep(APART) .. pad(row[1], first) .. (" "):rep(APART)
    if table_text.width(row[1]) > first then
      add((" "):rep(APART), table_text.wrap(row[1], width - APART))
      lead = (" "):rep(indent)
    end
    local explains = row[3] and row[3] ~= "" and row[3]
    if explains and table_text.width(row[2]) <= second then
      local beside = lead .. pad(row[2], second) .. (" "):rep(APART)
      add(beside, table_text.wrap(explains, limit and limit - second - APART), true)
    else
      add(lead, table_text.wrap(row[2], limit))
      add((" "):rep(indent), explains and table_text.wrap(explains, limit) or {}, true)
    end
  end
  return lines
end
