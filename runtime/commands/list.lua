--- opsrun list: every playbook with severity, path and title. Reads heads only, so that it stays quick.
local files = require "runtime.playbook_files"
local loader = require "runtime.loader"

local styles = { critical = "red", high = "red", medium = "yellow" }

--- Does the playbook hold all words?
local function matches(entry, words)
  local haystack = (entry.name .. " " .. (entry.title or "") .. " " .. (entry.about or "") .. " " .. (entry.kind or "")):lower()
  for _, word in ipairs(words) do
    if not haystack:find(word:lower(), 1, true) then
      return false
    end
  end
  return true
end

local function field(raw, name)
  return type(raw[name]) == "string" and raw[name] or nil
end

local function collect(host, words)
  local list = {}
  for _, playbook in ipairs(files.all(host)) do
    local raw, why = loader.head(host, playbook.path)
    local entry = {
      name = playbook.name,
      path = playbook.path,
      title = raw and field(raw, "title"),
      about = raw and field(raw, "about"),
      kind = raw and field(raw, "kind"),
      severity = raw and field(raw, "severity"),
      problem = why,
    }
    if matches(entry, words) then
      list[#list + 1] = entry
    end
  end
  return list
end

--- Cuts a text to `width` columns.
local function fit(host, said, width)
  if host.term.display_width(said) <= width then
    return said
  end
  local cut = said
  while cut ~= "" and host.term.display_width(cut) > width - 1 do
    cut = cut:sub(1, (utf8.offset(cut, -1) or #cut) - 1)
  end
  return cut .. "…"
end

local function print_table(host, list)
  local severity_width, name_width = 0, 0
  for _, entry in ipairs(list) do
    severity_width = math.max(severity_width, #(entry.severity or entry.kind or ""))
    name_width = math.max(name_width, host.term.display_width(entry.name))
  end
  local width = host.term.is_terminal() and host.term.width() or nil
  local whole = not host.term.colour "out" and {} or nil -- without colours one write will do
  local function out(said, style)
    if whole then
      whole[#whole + 1] = said
    else
      host.term.out(said, style)
    end
  end
  for _, entry in ipairs(list) do
    local label = entry.severity or entry.kind or ""
    local title = entry.title or ("does not load: " .. tostring(entry.problem))
    if width then
      title = fit(host, title, math.max(20, width - severity_width - name_width - 4))
    end
    out(label .. (" "):rep(severity_width - #label + 2), styles[entry.severity])
    out(entry.name .. (" "):rep(name_width - host.term.display_width(entry.name) + 2))
    out(title .. "\n", not entry.title and "red" or nil)
  end
  if whole then
    host.term.out(table.concat(whole))
  end
end

---@param services {host: table, options: table}
---@return integer exit code
return function(services)
  local host, words = services.host, services.options.words
  local list = collect(host, words)
  if services.options.flags.json then
    for _, entry in ipairs(list) do
      host.term.out(host.json.encode(entry) .. "\n")
    end
  elseif #list > 0 then
    print_table(host, list)
  elseif #words > 0 then
    host.term.out(("no playbook holds %s\n"):format("'" .. table.concat(words, "' and '") .. "'"))
  else
    host.term.out "no playbooks found in $OPSRUN_PATH, ./playbooks or the installed library\n"
  end
  return 0
end
