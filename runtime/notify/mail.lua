--- A message as a mail (RFC 5322): headers that nothing can be smuggled into, and a text any mail
--- server passes on unchanged. Pure.
local mail = {}

local days = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" }
local months = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }

--- The most an encoded word may be long (RFC 2047), and a line of the body (RFC 2045).
local WORD, LINE = 75, 76
local SUBJECT = 200

--- Is this one plain address, "ops@example.com"? No name, no quotes, no list.
function mail.is_address(text)
  if type(text) ~= "string" or #text > 254 then
    return false
  end
  local user, domain = text:match "^([%w.!#$%%&'*+/=?^_`{|}~-]+)@([%w.-]+)$"
  return user ~= nil and #user <= 64 and not text:find "%.%." and domain:find "^%w" ~= nil and domain:find "%w$" ~= nil
end

local function hex(char)
  return ("=%02X"):format(char:byte())
end

--- Whole characters, one by one; a byte that is no part of one stands alone.
local function characters(text)
  local at = 1
  return function()
    if at > #text then
      return nil
    end
    local char = text:match("^[\194-\244][\128-\191]+", at)
    local size = char and utf8.len(char) and utf8.offset(char, 2) or 2
    char = text:sub(at, at + size - 2)
    at = at + #char
    return char
  end
end

--- The value of a header of free text: as it is when it is short and plain, else in encoded words, each a
--- line of its own.
---@param text string
function mail.header_text(text)
  if text:find "^[\32-\126]*$" and #text <= WORD and not text:find("=?", 1, true) then
    return text
  end
  local words, word = {}, ""
  local room = WORD - #"=?UTF-8?Q??="
  for char in characters(text) do
    local encoded = char == " " and "_" or char:find "^[%w]$" and char or char:gsub(".", hex)
    if #word + #encoded > room then
      words[#words + 1], word = word, ""
    end
    word = word .. encoded
  end
  words[#words + 1] = word
  return "=?UTF-8?Q?" .. table.concat(words, "?=\r\n =?UTF-8?Q?") .. "?="
end

--- One line of the body as quoted-printable, cut where it grows too long.
local function quote_line(line)
  local parts, length = {}, 0
  for char in characters(line) do
    local encoded = char:find "^[\32-\60\62-\126]$" and char or char:gsub(".", hex)
    if length + #encoded > LINE - 1 then
      parts[#parts + 1] = "=\r\n"
      length = 0
    end
    parts[#parts + 1] = encoded
    length = length + #encoded
  end
  local text = table.concat(parts)
  return (text:gsub("[ ]$", "=20"))
end

--- A text as quoted-printable with CR LF at the ends of its lines.
function mail.body_text(text)
  local lines = {}
  for line in (text:gsub("\r\n?", "\n"):gsub("\n+$", "") .. "\n"):gmatch "(.-)\n" do
    lines[#lines + 1] = quote_line(line)
  end
  return table.concat(lines, "\r\n") .. "\r\n"
end

--- "Sat, 21 Nov 2026 07:00:00 +0000"
local function date_text(fields)
  return ("%s, %02d %s %04d %02d:%02d:%02d +0000"):format(
    days[fields.wday], fields.day, months[fields.month], fields.year, fields.hour, fields.min, math.tointeger(fields.sec) or 0
  )
end

--- One line for the subject: the first of a text, cut at a whole character.
local function subject_of(text)
  local line = text:match "[^\r\n]*":gsub("%c", " ")
  local cut = (utf8.len(line) or 0) > SUBJECT and utf8.offset(line, SUBJECT)
  return cut and line:sub(1, cut - 1) .. "…" or line
end

--- 4,096 pairs of base64's letters: a table of them is twice as fast as one of the letters.
local pairs_of_letters

local function letter_pairs()
  local letters, made = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", {}
  for i = 0, 4095 do
    local high, low = i // 64 + 1, i % 64 + 1
    made[i] = letters:sub(high, high) .. letters:sub(low, low)
  end
  return made
end

--- Bytes as lines of base64.
function mail.base64(bytes)
  pairs_of_letters = pairs_of_letters or letter_pairs()
  local lines, line = {}, {}
  for at = 1, #bytes, 3 do
    local a, b, c = bytes:byte(at, at + 2)
    local bits = (a << 16) | ((b or 0) << 8) | (c or 0)
    local first, second = pairs_of_letters[bits >> 12], pairs_of_letters[bits & 4095]
    if not c then
      second = b and second:sub(1, 1) .. "=" or "=="
    end
    line[#line + 1] = first .. second
    if #line == 19 or at + 3 > #bytes then -- 76 letters
      lines[#lines + 1] = table.concat(line)
      line = {}
    end
  end
  return table.concat(lines, "\r\n") .. "\r\n"
end

--- A file's name in a header (RFC 2231): letters and digits as they are, else as UTF-8 in percents.
local function file_name(name)
  if name:find "^[%w._-]+$" then
    return ('filename="%s"'):format(name)
  end
  return "filename*=UTF-8''" .. name:gsub("[^%w._-]", function(char)
    return ("%%%02X"):format(char:byte())
  end)
end

--- The text and the files, each a part of its own. The line between them is in none: base64 and
--- quoted-printable never hold "=_".
local function mixed(given)
  local line = "=_" .. given.id
  local parts = {
    ("--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"):format(line)
      .. mail.body_text(given.text),
  }
  for _, file in ipairs(given.attachments) do
    parts[#parts + 1] = ("--%s\r\nContent-Type: %s\r\nContent-Disposition: attachment; %s\r\n"
      .. "Content-Transfer-Encoding: base64\r\n\r\n"):format(line, file.type, file_name(file.name)) .. mail.base64(file.content)
  end
  parts[#parts + 1] = ("--%s--\r\n"):format(line)
  return ('multipart/mixed; boundary="%s"'):format(line), table.concat(parts)
end

---@class opsrun.Mail
---@field from string
---@field to string[]
---@field subject string   its first line is taken
---@field text string
---@field id string        letters and digits; the same for a repeat
---@field date table       fields of the time in UTC: year month day hour min sec wday (1 is Monday)
---@field headers table?   {{name, value}, …} of our own, plain
---@field attachments table? {{name, type, content}, …}

--- The whole mail, header lines first.
---@param given opsrun.Mail
---@return string
function mail.build(given)
  local lines = {}
  local function add(name, value)
    lines[#lines + 1] = name .. ": " .. value
  end
  add("Date", date_text(given.date))
  add("From", given.from)
  add("To", table.concat(given.to, ",\r\n "))
  add("Subject", mail.header_text(subject_of(given.subject)))
  add("Message-ID", ("<%s@%s>"):format(given.id, given.from:match "@(.+)$"))
  add("Auto-Submitted", "auto-generated")
  for _, header in ipairs(given.headers or {}) do
    add(header[1], mail.header_text(subject_of(tostring(header[2]))))
  end
  add("MIME-Version", "1.0")
  if given.attachments and #given.attachments > 0 then
    local kind, body = mixed(given)
    add("Content-Type", kind)
    return table.concat(lines, "\r\n") .. "\r\n\r\n" .. body
  end
  add("Content-Type", "text/plain; charset=utf-8")
  add("Content-Transfer-Encoding", "quoted-printable")
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. mail.body_text(given.text)
end

local ports = { smtp = 587, smtps = 465 }

--- Where mails go, from the environment's `smtp`: {url, user, password, from, ca, clear}.
---@return table? server {host, port, protection}
---@return string? why not
---@return string? hint
function mail.server(config)
  if type(config) ~= "table" then
    return nil, "the environment does not say where mails go",
      'smtp = { url = "smtp://mail.example.com:587", from = "opsrun@example.com", user = …, password = secret.env "…" }'
  end
  local scheme, host = tostring(config.url):match "^(%l+)://([^/?#]+)/?$"
  if host and host:find "@" then
    return nil, "smtp: its url holds a login", "give user and password beside it"
  end
  local name, port = (host or ""):match "^%[([%x:]+)%]:?(%d*)$"
  if not name then
    name, port = (host or ""):match "^([%w._-]+):?(%d*)$"
  end
  if not ports[scheme] or not name then
    return nil, ("smtp: '%s' is no server"):format(tostring(config.url)), "such as smtp://mail.example.com:587 or smtps://…"
  elseif not mail.is_address(config.from) then
    return nil, ("smtp: from '%s' is no mail address"):format(tostring(config.from)), "such as opsrun@example.com"
  end
  local clear = config.clear and scheme == "smtp"
  return {
    host = name,
    port = math.tointeger(tonumber(port)) or ports[scheme],
    protection = clear and "clear" or scheme == "smtps" and "tls" or "starttls",
  }
end

return mail
