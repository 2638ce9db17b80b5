--- Reading our own source, for the tests in tests/meta and the generators: plain Lua, from the root
--- of the repository.
local source = {}

--- Files below the given rooms whose name ends with `ending`, sorted.
---@return string[]
function source.files(ending, ...)
  local list = {}
  for _, room in ipairs { ... } do
    local pipe = assert(io.popen(("find %s -type f -name '*%s' 2>/dev/null"):format(room, ending)))
    for path in pipe:lines() do
      list[#list + 1] = path
    end
    pipe:close()
  end
  table.sort(list)
  return list
end

--- The text of a file.
function source.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

--- The lines of a text, without their ends.
function source.lines(text)
  local list = {}
  for line in (text:gsub("\n$", "") .. "\n"):gmatch "(.-)\n" do
    list[#list + 1] = line
  end
  return list
end

local function blank(text)
  return (text:gsub("[^\n]", " "))
end

--- C without comments and string contents; lines keep their numbers.
function source.bare_c(text)
  local out, at = {}, 1
  while at <= #text do
    local two = text:sub(at, at + 1)
    local first = text:sub(at, at)
    local stop
    if two == "/*" then
      stop = select(2, text:find("*/", at + 2, true)) or #text
    elseif two == "//" then
      stop = (text:find("\n", at, true) or #text + 1) - 1
    elseif first == '"' or first == "'" then
      stop = at
      repeat
        stop = stop + 1
        if text:sub(stop, stop) == "\\" then
          stop = stop + 1
        end
      until text:sub(stop, stop) == first or stop > #text
    end
    if stop then
      local part = text:sub(at, stop)
      local is_include = first == '"' and text:sub(1, at - 1):match "#include%s*$"
      out[#out + 1] = is_include and part or (first == '"' and '""' .. blank(part):sub(3) or blank(part))
      at = stop + 1
    else
      local next_special = text:find("[/\"']", at + 1) or #text + 1
      out[#out + 1] = text:sub(at, next_special - 1)
      at = next_special
    end
  end
  return table.concat(out)
end

--- Lua without comments; strings stay. Good enough for our own style.
function source.bare_lua(text)
  text = text:gsub("%-%-%[(=*)%[.-%]%1%]", blank)
  local list = source.lines(text)
  for i, line in ipairs(list) do
    list[i] = line:gsub("^%s*%-%-.*$", ""):gsub("%s%-%-%s[^\"]*$", "")
  end
  return table.concat(list, "\n")
end

--- Places where a pattern stands: {"path:line: the line"}.
function source.find(path, text, pattern)
  local found = {}
  for number, line in ipairs(source.lines(text)) do
    if line:find(pattern) then
      found[#found + 1] = ("%s:%d: %s"):format(path, number, (line:gsub("^%s+", "")))
    end
  end
  return found
end

local broken = 0

--- A claim in plain words: fn(say) calls say("place: what is wrong") for each place where it fails.
function source.claim(claim, fn)
  local wrong = {}
  local ok, err = pcall(fn, function(text)
    wrong[#wrong + 1] = text
  end)
  if not ok then
    wrong[#wrong + 1] = tostring(err)
  end
  print((#wrong == 0 and "holds   " or "BROKEN  ") .. claim)
  for _, text in ipairs(wrong) do
    print("          " .. text)
  end
  broken = broken + (#wrong > 0 and 1 or 0)
end

--- Ends the test: 0 when every claim holds.
function source.finish()
  os.exit(broken == 0 and 0 or 1)
end

return source
