--- Beginnings that allow or deny what follows: first words of a command, directories, origins. Pure.
local url = require "runtime.http.url"
local prefixes = {}

--- Does a command begin with these words? Word by word, so that "docker rest" is not "docker restart".
---@param argv string[]
---@param words string "docker restart"
---@return boolean
function prefixes.command(argv, words)
  local index = 0
  for word in words:gmatch "%S+" do
    index = index + 1
    if argv[index] ~= word then
      return false
    end
  end
  return index > 0
end

local function leads_out(path)
  return ("/" .. path .. "/"):find("/../", 1, true) ~= nil
end

--- Is `path` the directory or file `prefix`, or below it? Nothing is below what is no absolute path, or leads out.
---@param path string
---@param prefix string "/" holds everything
---@return boolean
function prefixes.path(path, prefix)
  if prefix:sub(1, 1) ~= "/" or leads_out(prefix) or leads_out(path) then
    return false
  end
  prefix = prefix:gsub("/+$", "")
  return path == prefix or path:sub(1, #prefix + 1) == prefix .. "/"
end

--- The origin of a URL, as a request's is written: lower case, without the scheme's own port and without a user.
---@param given string
---@return string? nil when it is no http or https URL
function prefixes.origin(given)
  local parts = url.parse(given)
  return parts and parts.origin
end

return prefixes
