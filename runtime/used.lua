--- Which part of an environment a run leans on: only what changed there stops it when it goes on later. A connection
--- counts when its name stands in a playbook, in a parameter, in what the run did, or in the settings of what counts
--- itself: rather one too many than one too few. Pure.
local used = {}

--- Sections of things with names; every other field, such as rules, label or smtp, always counts.
local sections = { hosts = true, http = true, logs = true, notify = true, redis = true, services = true, sql = true }

--- Does the name stand alone there, not as a part of a longer one? One that is no plain word counts wherever it stands.
local function says(text, name)
  if not (name:find "^[%w_]" and name:find "[%w_]$") then
    return text:find(name, 1, true) ~= nil
  end
  return text:find("%f[%w_]" .. name:gsub("%p", "%%%0") .. "%f[^%w_]") ~= nil
end

--- Every text in a value, keys too; of a list they are numbers, which name nothing.
local function collect(value, into)
  if type(value) == "table" then
    for key, item in next, value do
      into[#into + 1] = not tonumber(key) and key or nil
      collect(item, into)
    end
  elseif value ~= nil then
    into[#into + 1] = tostring(value)
  end
  return into
end

--- What a run says: texts in which a name may stand alone, and modules, which name a connection in quotes if at all.
---@param copy table of frozen.copy
---@param values table its parameters as shown
---@param effects table<any, table> of the recording
---@return {text: string, modules: string}
local function said_by(copy, values, effects)
  local texts = collect(values, { copy.playbook.text })
  for _, called in pairs(copy.calls) do
    texts[#texts + 1] = called.text
  end
  for _, effect in pairs(effects) do
    local record = effect.begin or effect.finish or {}
    texts[#texts + 1], texts[#texts + 2] = record.target or "", record.summary or ""
  end
  local modules = {}
  for _, text in pairs(copy.modules) do
    modules[#modules + 1] = text
  end
  return { text = table.concat(texts, "\n"), modules = table.concat(modules, "\n") }
end

local function is_named(said, name)
  local quoted = said.modules:find('"' .. name .. '"', 1, true) or said.modules:find("'" .. name .. "'", 1, true)
  return quoted ~= nil or says(said.text, name)
end

--- Is one of this group of hosts named? Its items are "web1", "deploy@web1:22", { name = "web1" }.
local function has_named(said, group)
  for key, item in pairs(type(group) == "table" and group or {}) do
    local texts = tonumber(key) and (type(item) == "table" and { item.name, item.address or item.name } or { item }) or {}
    for word in table.concat(texts, " "):gmatch "[%w_.%-]+" do
      if is_named(said, word) then
        return true
      end
    end
  end
  return false
end

--- The parameters that count: those of the playbooks themselves, and those for all that one of them declares.
---@param books table<string, table<string, any>> declared parameters by the playbook's name
local function params_of(list, books)
  local kept = {}
  for key, value in pairs(list) do
    for name, declared in pairs(books) do
      if key == name or key == name:gsub("%.lua$", "") or declared[key] ~= nil then
        kept[key] = value
      end
    end
  end
  return kept
end

--- The part of an environment that counts.
---@param environment table plain data, secrets by name
---@param run {copy: table, values: table, effects: table, books: table} values: parameters as shown; books: the
--- parameters that each playbook of the run declares, by its name
---@return table part
function used.part(environment, run)
  local said, part = said_by(run.copy, run.values, run.effects), {}
  for field, value in pairs(environment) do
    part[field] = sections[field] and {} or value
  end
  part.params = environment.params and params_of(environment.params, run.books)
  said.text = said.text .. "\n" .. table.concat(collect(part.params, {}), "\n")
  local found
  repeat -- what is used names others: a service its host
    found = false
    for section in pairs(sections) do
      for name, config in pairs(environment[section] or {}) do
        local meant = part[section][name] == nil and (is_named(said, name) or section == "hosts" and has_named(said, config))
        if meant then
          part[section][name], found = config, true
          said.text = said.text .. "\n" .. table.concat(collect(config, {}), "\n")
        end
      end
    end
  until not found
  return part
end

return used
