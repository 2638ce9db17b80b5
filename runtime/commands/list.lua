--- opsrun list: every playbook with severity, path and title. Reads heads only, so that it stays quick.
local files = require "runtime.playbook_files"
local loader = require "runtime.loader"

local styles = { critical = "red", high = "red", medium = "yellow" }

--- What a playbook's text says of where it comes from: who knows an old runbook's heading finds what replaced it.
local function sources_in(source)
  return source and source:match "\n *sources *= *(%b{})" or ""
end

--- Does the playbook hold all words?
local function matches(entry, words, source)
  if #words == 0 then
    return true
  end
  local haystack = table.concat({ entry.name, entry.title or "", entry.about or "", entry.kind or "", sources_in(source) }, " "):lower()
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
    local raw, why, source = loader.head(host, playbook.path)
    local entry = {
      name = playbook.name,
      path = playbook.path,
      title = raw and field(raw, "title"),
      about = raw and field(raw, "about"),
      kind = raw and field(raw, "kind"),
      severity = raw and field(raw, "severity"),
      respond = raw and field(raw, "respond"),
      problem = why,
    }
    if matches(entry, words, source) then
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

--- The widest of three columns: severity, and where there is none the kind; within what time somebody should be at it; its
--- name. Names of entries are measured once.
local function measure(host, list)
  local label, respond, name = #"severity", #"respond", #"playbook"
  for _, entry in ipairs(list) do
    entry.wide = host.term.display_width(entry.name)
    label = math.max(label, #(entry.severity or entry.kind or ""))
    respond = math.max(respond, #(entry.respond or ""))
    name = math.max(name, entry.wide)
  end
  return label, respond, name
end

local function print_table(host, list)
  local label_width, respond_width, name_width = measure(host, list)
  local width = host.term.shows "out" and host.term.width() or nil
  local room = width and math.max(20, width - label_width - respond_width - name_width - 6)
  local whole = not host.term.colour "out" and {} or nil -- without colours one write will do
  --- One row; `wide` columns are taken by the name.
  local function row(label, style, respond, name, wide, title, title_style)
    label = label .. (" "):rep(label_width - #label + 2)
    local middle = respond .. (" "):rep(respond_width - #respond + 2) .. name .. (" "):rep(name_width - wide + 2)
    if whole then
      whole[#whole + 1] = label .. middle .. title .. "\n"
    else
      host.term.out(label, style)
      host.term.out(middle, style == "dim" and "dim" or nil)
      host.term.out(title .. "\n", title_style)
    end
  end
  row("severity", "dim", "respond", "playbook", #"playbook", "title", "dim")
  for _, entry in ipairs(list) do
    local title = entry.title or ("does not load: " .. tostring(entry.problem))
    title = room and fit(host, title, room) or title
    row(entry.severity or entry.kind or "", styles[entry.severity], entry.respond or "", entry.name, entry.wide, title,
      not entry.title and "red" or nil)
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
