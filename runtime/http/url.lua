--- URLs, read strictly: what cannot be told apart with certainty is refused, since the origin decides
--- who may be asked and who gets credentials. Pure.
local url = {}

---@class opsrun.Url
---@field origin string   "https://host:8443", the scheme's own port left out
---@field path string     begins with "/"; with query, without fragment
---@field user string?    decoded
---@field password string?

local own_ports = { http = "80", https = "443" }

--- "%41b" -> "Ab"
function url.decode(text)
  return (text:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

--- Encodes all but unreserved characters: for names and values of a query or form.
function url.encode(text)
  return (text:gsub("[^%w%-._~]", function(char)
    return ("%%%02X"):format(char:byte())
  end))
end

--- Encodes what may not stand in a URL as it is: spaces, quotes, bytes beyond ASCII. What is encoded
--- already stays.
local function encode_rest(text)
  return (text:gsub('[ "<>^`{|}\128-\255]', function(char)
    return ("%%%02X"):format(char:byte())
  end))
end

local function read_host(text)
  local host, port = text:match "^(%[[%x:.]+%]):?(%d*)$"
  if not host then
    host, port = text:match "^([%w._-]+):?(%d*)$"
  end
  return host and host:lower(), port
end

--- Reads an absolute http or https URL.
---@return opsrun.Url? parts
---@return string? why it is none
function url.parse(text)
  if text:find "[%c\\]" then
    return nil, "it holds control characters or a backslash"
  end
  local scheme, rest = text:match "^(%a[%w+.-]*)://(.*)$"
  scheme = scheme and scheme:lower()
  if not own_ports[scheme] then
    return nil, "it must begin with http:// or https://"
  end
  local authority, path = rest:match "^([^/?#]*)(.*)$"
  local userinfo, host_text = authority:match "^([^@]*)@(.*)$"
  local host, port = read_host(host_text or authority)
  if not host then
    return nil, "its host cannot be read"
  end
  local user, password
  if userinfo then
    user, password = userinfo:match "^([^:]*):?(.*)$"
    user, password = url.decode(user), url.decode(password)
  end
  path = encode_rest((path:gsub("#.*$", "")))
  if path:sub(1, 1) ~= "/" then
    path = "/" .. path
  end
  port = (port == "" or port == own_ports[scheme]) and "" or ":" .. port
  return { origin = scheme .. "://" .. host .. port, path = path, user = user, password = password }
end

--- Any text with `user:pass@` taken out of the URLs in it.
function url.strip_users(text)
  return (text:gsub("(%a[%w+.-]*://)[^/?#%s@]*@", "%1"))
end

local function has_dot_segments(path)
  local decoded = url.decode(path:match "^[^?]*")
  return ("/" .. decoded .. "/"):find "/%.%.?/" ~= nil
end

--- Joins a path to a connection's base, so that neither origin nor base path can be left.
---@param base opsrun.Url
---@param path string "/health", or a whole URL of the same origin
---@return string? joined path with query
---@return string? why not
function url.join(base, path)
  if path:find "[%c\\]" then
    return nil, "it holds control characters or a backslash"
  end
  if path:match "^%a[%w+.-]*:" then
    local parts, why = url.parse(path)
    if not parts then
      return nil, why
    end
    if parts.origin ~= base.origin then
      return nil, ("it leads to '%s'"):format(parts.origin)
    end
    return parts.path
  end
  if path:sub(1, 2) == "//" then
    return nil, "it begins with '//', which names another host"
  end
  if has_dot_segments(path) then
    return nil, "it holds '.' or '..' between slashes"
  end
  path = encode_rest((path:gsub("#.*$", "")))
  local prefix = base.path:gsub("/+$", "")
  if path == "" then
    return base.path
  end
  if path:sub(1, 1) == "?" then
    return base.path .. path
  end
  return prefix .. (path:sub(1, 1) == "/" and "" or "/") .. path
end

--- Appends `query`, {name = value or list of values}, names sorted.
---@return string? path
---@return string? why not
function url.add_query(path, query)
  local names, parts = {}, {}
  for name in pairs(query) do
    names[#names + 1] = tostring(name)
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local values = query[name]
    if type(values) ~= "table" or getmetatable(values) ~= nil then
      values = { values }
    end
    for _, value in ipairs(values) do
      local kind = type(value)
      if kind == "userdata" then
        return nil, ("'%s': a secret cannot stand in a query, where logs would show it"):format(name)
      end
      parts[#parts + 1] = url.encode(name) .. "=" .. url.encode(tostring(value))
    end
  end
  if #parts == 0 then
    return path
  end
  return path .. (path:find("?", 1, true) and "&" or "?") .. table.concat(parts, "&")
end

--- The names in the query of `path`, decoded.
---@return string[]
function url.parameters(path)
  local names = {}
  for item in (path:match "%?(.*)$" or ""):gmatch "[^&;]+" do
    names[#names + 1] = url.decode(item:match "^[^=]*")
  end
  return names
end

return url
