--- A runtime module requires its own or a lower layer. The layers are the table in
--- docs/ARCHITECTURE.md, so that the page cannot get old.
package.path = "./?.lua;" .. package.path
local source = require "tools.source"
local claim = source.claim

local layers, rooms, named = {}, {}, {}
for line in source.read("docs/ARCHITECTURE.md"):gmatch "[^\n]+" do
  local number, modules = line:match "^| (%d+) | (.*) |$"
  for module in (modules or ""):gmatch "`([%w_/*]+)`" do
    local room = module:match "^(.*)/%*$"
    if room then
      rooms[room] = tonumber(number)
    else
      layers[module], named[module] = tonumber(number), true
    end
  end
end

local function layer_of(module)
  return layers[module] or rooms[module:match "^(.*)/[^/]*$" or ""]
end

local modules = {}
for _, path in ipairs(source.files(".lua", "runtime")) do
  modules[path:match "^runtime/(.*)%.lua$"] = source.bare_lua(source.read(path))
end

claim("every runtime module has a layer", function(say)
  for module in pairs(modules) do
    if not layer_of(module) then
      say(("runtime/%s.lua is in no row of docs/ARCHITECTURE.md"):format(module))
    end
  end
end)

claim("every module named in the table is there", function(say)
  for module in pairs(named) do
    if not modules[module] then
      say(("docs/ARCHITECTURE.md names '%s'"):format(module))
    end
  end
end)

local function required(text)
  local list = {}
  for module in text:gmatch 'require%s*%(?%s*"runtime%.([%w_%.]+)"' do
    list[#list + 1] = (module:gsub("%.", "/"))
  end
  return list
end

claim("a module requires its own or a lower layer", function(say)
  for module, text in pairs(modules) do
    for _, other in ipairs(required(text)) do
      local own, needed = layer_of(module), layer_of(other:gsub("/$", "/x"))
      if own and needed and needed > own then
        say(("%s (layer %d) requires %s (layer %d)"):format(module, own, other, needed))
      end
    end
  end
end)

claim("what a module requires is there", function(say)
  for module, text in pairs(modules) do
    for _, other in ipairs(required(text)) do
      if not other:find "/$" and not modules[other] then
        say(("%s requires '%s'"):format(module, other))
      end
    end
  end
end)

claim("no module requires itself through others", function(say)
  local state = {}
  local function visit(module, path)
    if state[module] == "open" then
      say(path .. " -> " .. module)
    elseif modules[module] and not state[module] then
      state[module] = "open"
      for _, other in ipairs(required(modules[module])) do
        visit(other, path .. " -> " .. module)
      end
      state[module] = "done"
    end
  end
  for module in pairs(modules) do
    visit(module, "")
  end
end)

source.finish()
