--- Words and lines: suggestions, plurals, quoting, wrapping. Pure.
local text = {}

local mask = function(given)
  return given
end

--- Hands over the host's masking. The masking writer sees what is written; what is cut, wrapped or put on
--- one line before that must be masked before: half a secret matches nothing, and is half a secret.
---@param fn fun(text: string): string, any
function text.mask_with(fn)
  mask = fn
end

--- The text with every secret in it replaced by its name.
function text.masked(given)
  return (mask(given))
end

--- At most so many bytes of a text, masked first, cut at a whole character, with … behind.
---@param bytes integer
function text.cut(given, bytes)
  given = text.masked(given)
  if #given <= bytes then
    return given
  end
  return given:sub(1, (utf8.offset(given, 0, bytes + 1) or bytes + 1) - 1) .. "…"
end

--- A text in one line, masked first, its white space as single blanks; at most so many bytes.
---@param bytes integer?
function text.one_line(given, bytes)
  local line = text.masked(given):gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
  return bytes and text.cut(line, bytes) or line
end

--- How many single-letter edits (insert, delete, replace, swap of neighbours) lead from a to b.
---@param a string
---@param b string
---@return integer
function text.distance(a, b)
  local la, lb = #a, #b
  if la == 0 or lb == 0 or la > 63 or lb > 63 then
    return math.max(la, lb)
  end
  local before2, before = {}, {}
  for j = 0, lb do
    before[j] = j
  end
  for i = 1, la do
    local row = { [0] = i }
    for j = 1, lb do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      local least = math.min(before[j] + 1, row[j - 1] + 1, before[j - 1] + cost)
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        least = math.min(least, before2[j - 2] + 1)
      end
      row[j] = least
    end
    before2, before = before, row
  end
  return before[lb]
end

--- The candidate that was probably meant, or nil when none is near. A candidate that begins with the
--- word counts as near; of equally near ones the first in byte order wins.
---@param word string
---@param candidates string[]
---@return string?
function text.nearest(word, candidates)
  local near = #word <= 3 and 1 or #word <= 7 and 2 or 3
  local best, best_distance
  for _, candidate in ipairs(candidates) do
    if type(candidate) == "string" then
      local distance = text.distance(word:lower(), candidate:lower())
      if distance > 1 and #word >= 3 and candidate:sub(1, #word) == word then
        distance = 1
      end
      local better = not best or distance < best_distance or (distance == best_distance and candidate < best)
      if distance <= near and better then
        best, best_distance = candidate, distance
      end
    end
  end
  return best
end

--- "did you mean 'idle'?", or what there is to choose from, or nil when there is nothing.
---@param word string
---@param candidates string[]
---@param label string? "it has", "known parameters"
---@return string?
function text.suggest(word, candidates, label)
  local near = text.nearest(word, candidates)
  if near then
    return ("did you mean '%s'?"):format(near)
  elseif #candidates == 0 then
    return nil
  end
  return (label or "there is") .. ": " .. table.concat(candidates, ", ")
end

--- "1 step", "2 steps".
function text.plural(count, singular, plural)
  return ("%d %s"):format(count, count == 1 and singular or plural or (singular .. "s"))
end

--- Lines of at most `width` bytes, broken at spaces.
---@param paragraph string
---@param width integer
---@return string[]
function text.wrap(paragraph, width)
  local lines, line = {}, ""
  for word in paragraph:gmatch "%S+" do
    if line == "" then
      line = word
    elseif #line + 1 + #word <= width then
      line = line .. " " .. word
    else
      lines[#lines + 1] = line
      line = word
    end
  end
  if line ~= "" then
    lines[#lines + 1] = line
  end
  return lines
end

--- A word as a shell takes it: quoted when it has to be.
function text.shell_word(word)
  if word ~= "" and not word:find "[^%w%._=/:,@%%+-]" then
    return word
  end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- Pads with spaces on the right to `width` columns; `measure` says how wide a text is (default: bytes).
function text.pad(word, width, measure)
  local used = (measure or string.len)(word)
  return used < width and word .. (" "):rep(width - used) or word
end

--- The keys of a table that are strings, sorted by bytes.
function text.keys(map)
  local keys = {}
  for key in pairs(map) do
    if type(key) == "string" then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys)
  return keys
end

--- Is `word` in the list?
function text.has(list, word)
  for _, candidate in ipairs(list) do
    if candidate == word then
      return true
    end
  end
  return false
end

--- "a word" or "an integer".
function text.article(word)
  return (word:find "^[aeiou]" and "an " or "a ") .. word
end

return text
