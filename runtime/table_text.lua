--- Rows and values as aligned text, for the report. Off a terminal nothing is cut or wrapped.
local words = require "runtime.text"
local table_text = {}

local display_width = function(text)
  return utf8.len(text) or #text
end

local shown = function(text)
  return (text:gsub("[\x80-\xff]", function(byte)
    return ("\\x%02x"):format(byte:byte())
  end))
end

--- Hands over the host's measure of how many columns a text takes, and how it shows a text with bytes
--- that are none.
function table_text.open(measure, show)
  display_width, shown = measure or display_width, show or shown
end

--- Columns a text takes.
function table_text.width(text)
  return display_width(text)
end

--- No table is shown deeper: it may hold itself.
local deepest = 8

--- One value as an operator reads it: floats with at most three significant decimals.
---@param depth integer? how many tables it is inside of
function table_text.value(value, depth)
  if value == nil then
    return "–"
  elseif math.type(value) == "float" then
    if value ~= value or value == math.huge or value == -math.huge then
      return tostring(value)
    elseif value == math.floor(value) and math.abs(value) < 1e15 then
      return ("%d"):format(value)
    end
    local size = math.abs(value)
    local text = size >= 100 and ("%.0f"):format(value) or size >= 10 and ("%.1f"):format(value) or ("%.3g"):format(value)
    return text
  elseif type(value) == "table" then
    local mt = getmetatable(value)
    if type(mt) == "table" and mt.__tostring then
      local ok, said = pcall(tostring, value) -- an author's, shown once more when the step is long over
      return ok and said or "a table that cannot be shown"
    elseif type(mt) == "string" and mt ~= "params" then -- durations, handles, planned results
      return tostring(value)
    end
    local parts = {}
    depth = (depth or 0) + 1
    if depth > deepest then
      return "…"
    end
    for _, item in ipairs(value) do
      parts[#parts + 1] = table_text.value(item, depth)
    end
    if #parts == 0 then
      local keys = {}
      for key in pairs(value) do
        keys[#keys + 1] = tostring(key)
      end
      table.sort(keys)
      for _, key in ipairs(keys) do
        parts[#parts + 1] = key .. "=" .. table_text.value(value[key], depth)
      end
    end
    return table.concat(parts, ", ")
  end
  return (tostring(value))
end

--- string.format that takes any value for %s, also nil, and leaves a lone text with % alone.
function table_text.format(fmt, ...)
  if select("#", ...) == 0 then
    return tostring(fmt)
  end
  local args = table.pack(...)
  for i = 1, args.n do
    if type(args[i]) == "number" then
      args[i] = math.tointeger(args[i]) or args[i] -- 80, not 80.0
    elseif type(args[i]) ~= "string" then
      args[i] = table_text.value(args[i])
    end
  end
  return (string.format(fmt, table.unpack(args, 1, args.n)))
end

local function one_line(text)
  return (words.masked(text):gsub("%s*\n%s*", " ⏎ "):gsub("\t", " "))
end

--- The columns of a list of rows: as asked, as the rows' source says, else all keys in byte order.
function table_text.columns(rows, wanted)
  if wanted then
    return wanted
  end
  local source = getmetatable(rows) ~= "planned" and rawget(rows, "columns")
  if type(source) == "table" and #source > 0 then
    return source
  end
  local seen, columns = {}, {}
  for _, row in ipairs(rows) do
    for key in pairs(row) do
      if not seen[key] then
        seen[key] = true
        columns[#columns + 1] = key
      end
    end
  end
  table.sort(columns, function(a, b)
    return tostring(a) < tostring(b)
  end)
  return columns
end

local function pad(text, width, right)
  local fill = (" "):rep(math.max(0, width - display_width(text)))
  return right and fill .. text or text .. fill
end

--- Cuts a text to `width` columns, with … in the last.
local function cut(text, width)
  text = words.masked(text)
  if display_width(text) <= width then
    return text
  end
  text = utf8.len(text) and text or shown(text)
  local out, used = {}, 0
  for _, code in utf8.codes(text, true) do
    local char = utf8.char(code)
    local w = display_width(char)
    if used + w > width - 1 then
      break
    end
    out[#out + 1], used = char, used + w
  end
  return table.concat(out) .. "…"
end
table_text.cut = cut

local function wrap_line(lines, text, width)
  if not width or display_width(text) <= width then
    lines[#lines + 1] = text
    return
  end
  local current, gap = text:match "^%s*", ""
  for word, behind in text:gmatch "(%S+)(%s*)" do
    local longer = current .. gap .. word
    if current:find "%S" and display_width(longer) > width then
      lines[#lines + 1] = current
      longer = word
    end
    current, gap = longer, behind
  end
  lines[#lines + 1] = current
end

--- A text's lines, each broken at spaces to at most `width` columns; a longer word stays whole, so
--- that it can be copied. nil: not broken.
---@return string[]
function table_text.wrap(text, width)
  local lines = {}
  for line in (words.masked(text) .. "\n"):gmatch "(.-)\n" do
    wrap_line(lines, line, width)
  end
  return lines
end

--- `text` behind `lead`, its later lines below its first: nothing in it begins a line of its own.
---@return string
function table_text.hang(lead, text, width)
  local room = display_width(lead)
  return lead .. table.concat(table_text.wrap(text, width and width - room), "\n" .. (" "):rep(room))
end

--- Takes columns away from the widest ones until the table fits `available`; none gets narrower than
--- its floor.
local function shrink(widths, floors, available)
  local total = 0
  for _, width in ipairs(widths) do
    total = total + width
  end
  while total > available do
    local widest
    for i = 1, #widths do
      if widths[i] > floors[i] and (not widest or widths[i] > widths[widest]) then
        widest = i
      end
    end
    if not widest then
      return false
    end
    widths[widest], total = widths[widest] - 1, total - 1
  end
  return true
end

--- Fits columns into `width`: texts keep 6 columns, if that is too much 3; numbers are never cut,
--- since a part of a number is another number.
local function fit(widths, numeric, digits, width)
  for _, least in ipairs { 6, 3 } do
    local floors = {}
    for c = 1, #widths do
      floors[c] = numeric[c] and digits[c] or least
    end
    if shrink(widths, floors, width) then
      return
    end
  end
end

--- A list of rows as lines: a head and one line a row. `width` nil: never cut.
---@return string[]
function table_text.rows(rows, columns, width)
  columns = table_text.columns(rows, columns)
  local cells, widths, numeric, digits = {}, {}, {}, {}
  for c, name in ipairs(columns) do
    widths[c], numeric[c], digits[c] = display_width(one_line(tostring(name))), true, 1
  end
  for r, row in ipairs(rows) do
    cells[r] = {}
    for c, name in ipairs(columns) do
      local text = table_text.value(row[name])
      text = one_line(text)
      cells[r][c] = text
      digits[c] = math.max(digits[c], display_width(text))
      widths[c] = math.max(widths[c], digits[c])
      numeric[c] = numeric[c] and (row[name] == nil or type(row[name]) == "number")
    end
  end
  if width then
    fit(widths, numeric, digits, width - 2 * (#columns - 1))
  end
  local function line(texts)
    local out = {}
    for c, text in ipairs(texts) do
      text = width and cut(text, widths[c]) or text
      out[c] = (c == #columns and not numeric[c]) and text or pad(text, widths[c], numeric[c])
    end
    return (table.concat(out, "  "):gsub("%s+$", ""))
  end
  local heads = {}
  for c, name in ipairs(columns) do
    heads[c] = one_line(tostring(name))
  end
  local lines = { line(heads) }
  for r = 1, #rows do
    lines[#lines + 1] = line(cells[r])
  end
  return lines
end

--- Rows {x, y} as bars: one line each, the longest as wide as there is room.
---@return string[]
function table_text.bars(rows, width)
  local names, wide, most = {}, 0, 0
  for i, row in ipairs(rows) do
    names[i] = one_line(table_text.value(row.x))
    wide, most = math.max(wide, display_width(names[i])), math.max(most, row.y or 0)
  end
  local room = math.max(10, math.min(40, (width or 72) - wide - 16))
  local lines = {}
  for i, row in ipairs(rows) do
    local length = (row.y or 0) > 0 and most > 0 and math.max(1, math.floor(room * row.y / most + 0.5)) or 0
    lines[i] = ("%s  %s %s"):format(pad(names[i], wide), ("█"):rep(length), table_text.value(row.y))
  end
  return lines
end

--- A single table as "name  value" lines, names in byte order (or in the order of `columns`).
function table_text.fields(value, columns)
  local names = columns or {}
  if not columns then
    for name in pairs(value) do
      names[#names + 1] = name
    end
    table.sort(names, function(a, b)
      return tostring(a) < tostring(b)
    end)
  end
  local wide = 0
  for _, name in ipairs(names) do
    wide = math.max(wide, display_width(tostring(name)))
  end
  local lines = {}
  for _, name in ipairs(names) do
    lines[#lines + 1] = pad(tostring(name), wide) .. "  " .. one_line(table_text.value(value[name]))
  end
  return lines
end

--- Is this a list of rows: tables and nothing else? Durations and the like are values.
function table_text.is_rows(value)
  if type(value) ~= "table" or getmetatable(value) == "planned" or #value == 0 then
    return false
  end
  for _, row in ipairs(value) do
    if type(row) ~= "table" or type(getmetatable(row)) == "string" then
      return false
    end
  end
  return true
end

--- Any shown value as lines.
function table_text.any(value, columns, width)
  if type(value) == "string" then
    local lines = {}
    for line in (words.masked(value):gsub("\n$", "") .. "\n"):gmatch "(.-)\n" do
      lines[#lines + 1] = line
    end
    return lines
  elseif type(value) ~= "table" or (type(getmetatable(value)) == "string" and getmetatable(value) ~= "params") then
    return { table_text.value(value) }
  elseif table_text.is_rows(value) then
    return table_text.rows(value, columns, width)
  elseif #value > 0 then
    local lines = {}
    for i, item in ipairs(value) do
      lines[i] = table_text.value(item)
    end
    return lines
  end
  local lines = rawget(value, "columns") and {} or table_text.fields(value, columns)
  return #lines > 0 and lines or { "(none)" }
end

return table_text
