--- Where playbooks are looked for: as given, $OPSRUN_PATH, ./playbooks, the installed library.
local errors = require "runtime.errors"
local text = require "runtime.text"
local files = {}

--- The library that came with the program: beside an installed one, or of the source tree.
local function installed(host)
  local executable = host.system.executable() or ""
  local room = executable:match "^(.*)/[^/]*$" or "."
  local parent = room:match "^(.*)/[^/]*$" or ""
  return { parent .. "/share/opsrun/playbooks", parent .. "/playbooks" }
end

--- Directories that hold playbooks, first wins, each once.
---@return {path: string, shown: string}[]
function files.libraries(host)
  local list, seen = {}, {}
  local function add(path, shown)
    local facts = host.files.stat(path)
    if facts and facts.type == "directory" then
      local real = host.files.realpath(path) or path
      if not seen[real] then
        seen[real] = true
        list[#list + 1] = { path = path, real = real, shown = shown }
      end
    end
  end
  for directory in (host.system.env "OPSRUN_PATH" or ""):gmatch "[^:]+" do
    add(directory, directory)
  end
  add("playbooks", "./playbooks")
  for _, directory in ipairs(installed(host)) do
    add(directory, "the installed library")
  end
  return list
end

local function is_file(host, path)
  local facts = host.files.stat(path)
  return facts ~= nil and facts.type ~= "directory"
end

--- Calls fn(name, path) for every .lua file below a directory, in order of names; name is the path below.
local function walk(host, directory, prefix, fn, depth)
  for _, entry in ipairs(host.files.list(directory) or {}) do
    local path = directory .. "/" .. entry
    if entry:sub(1, 1) == "." then -- luacheck: ignore 542
      -- hidden: editors' and version control's files
    elseif entry:sub(-4) == ".lua" then
      fn(prefix .. entry, path)
    elseif depth > 0 and not entry:find "%." then
      walk(host, path, prefix .. entry .. "/", fn, depth - 1)
    end
  end
end

--- Every playbook of every library: {name, path}; of two with one name the first library's counts.
function files.all(host)
  local list, seen = {}, {}
  for _, library in ipairs(files.libraries(host)) do
    walk(host, library.path, "", function(name, path)
      if not seen[name] then
        seen[name] = true
        list[#list + 1] = { name = name, path = path }
      end
    end, 8)
  end
  return list
end

--- Every .lua file of a directory given by a user.
function files.below(host, directory)
  local list = {}
  walk(host, (directory:gsub("/+$", "")), "", function(_, path)
    list[#list + 1] = path
  end, 8)
  return list
end

--- The name of a file given by its path: what comes after its library's directory, else the bare name.
local function name_of(host, path)
  local real = host.files.realpath(path) or path
  for _, library in ipairs(files.libraries(host)) do
    if real:sub(1, #library.real + 1) == library.real .. "/" then
      return real:sub(#library.real + 2)
    end
  end
  return path:match "^.*/playbooks/(.+)$" or path:match "([^/]+)$"
end

--- Finds a playbook. Raises a load error that names near ones and where it looked.
---@return string path, string name
function files.find(host, given)
  local variants = given:sub(-4) == ".lua" and { given } or { given, given .. ".lua" }
  for _, variant in ipairs(variants) do
    if is_file(host, variant) then
      return variant, name_of(host, variant)
    end
  end
  if given:sub(1, 1) ~= "/" then
    for _, library in ipairs(files.libraries(host)) do
      for _, variant in ipairs(variants) do
        local path = library.path .. "/" .. variant
        if is_file(host, path) then
          return path, (variant:gsub("^%./", ""))
        end
      end
    end
  end
  local facts = host.files.stat(given)
  if facts and facts.type == "directory" then
    error(errors.load { message = ("'%s' is a directory, no playbook"):format(given), hint = "'opsrun list' shows the playbooks" }, 0)
  end
  local names, bare = {}, {}
  for _, playbook in ipairs(files.all(host)) do
    names[#names + 1] = playbook.name
    bare[playbook.name:match "[^/]+$"] = playbook.name
  end
  local wanted = given:gsub("%.lua$", "") .. ".lua"
  local near = text.nearest(wanted, names)
  local near_bare = text.nearest(wanted:match "[^/]+$", text.keys(bare))
  near = near or (near_bare and bare[near_bare])
  local places = { "." }
  for _, library in ipairs(files.libraries(host)) do
    places[#places + 1] = library.shown
  end
  local looked = "looked in: " .. table.concat(places, ", ")
  error(errors.load {
    code = "missing",
    message = ("no playbook '%s'"):format(given),
    hint = near and ("did you mean '%s'? (%s)"):format(near, looked) or (looked .. "; 'opsrun list' shows what there is"),
  }, 0)
end

return files
