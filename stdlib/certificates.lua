--- TLS certificates as a peer shows them. Reads only.

local certificates = {}

--- The certificate behind a connection. One that is not trusted, or is over, raises: nobody can connect.
---@param site string an https connection of the environment
---@return table certificate days (left, whole ones), names, issuer, expires (seconds since 1970)
function certificates.look(site)
  local found = http(site):certificate()
  return {
    days = math.floor(found.expires_in / 86400), names = found.names, issuer = found.issuer, expires = found.expires,
  }
end

return certificates
