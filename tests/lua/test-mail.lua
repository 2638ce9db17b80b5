--- Mails and PagerDuty events as texts: nothing can be smuggled in, nothing gets lost.
local t = require "harness"
local mail = require "runtime.notify.mail"
local pagerduty = require "runtime.notify.pagerduty"

local date = { year = 2026, month = 11, day = 21, hour = 7, min = 5, sec = 9, wday = 6 }

local function build(given)
  return mail.build {
    from = "ops@a.example", to = given.to or { "b@c.example" }, subject = given.subject or "s", text = given.text or "t",
    id = "aabb", date = date, headers = given.headers,
  }
end

t.test("a mail has the headers of RFC 5322", function()
  t.equal(build { to = { "b@c.example", "d@e.example" } }, table.concat({
    "Date: Sat, 21 Nov 2026 07:05:09 +0000", "From: ops@a.example", "To: b@c.example,", " d@e.example", "Subject: s",
    "Message-ID: <aabb@a.example>", "Auto-Submitted: auto-generated", "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable", "", "t", "",
  }, "\r\n"))
end)

t.test("no text makes a header line of its own", function()
  local text = build { subject = "a\r\nBcc: x@y.example", headers = { { "X-Run", "1\nEvil: yes" } } }
  t.equal(text:find "\nBcc", nil)
  t.equal(text:find "\nEvil", nil)
  t.equal(text:find "Subject: a\r\n" ~= nil, true)
  t.equal(build { subject = "a\0\27[2Jb" }:match "Subject: ([^\r]*)", "a  [2Jb")
end)

t.test("a subject beyond ASCII is encoded in words of whole characters, each short enough", function()
  local text = mail.header_text(("Füllstand → "):rep(20))
  for line in (text .. "\r\n"):gmatch "(.-)\r\n" do
    local word = line:match "^ ?=%?UTF%-8%?Q%?(.-)%?=$"
    t.equal(word ~= nil and #line <= 76, true)
    local plain = word:gsub("_", " "):gsub("=(%x%x)", function(hex)
      return string.char(tonumber(hex, 16))
    end)
    t.equal(utf8.len(plain) ~= nil, true)
  end
  t.equal(mail.header_text "plain: 5 %", "plain: 5 %")
  t.equal(mail.header_text "=?UTF-8?Q?evil?=" ~= "=?UTF-8?Q?evil?=", true)
  t.equal(mail.header_text "\255", "=?UTF-8?Q?=FF?=")
end)

t.test("the body is quoted-printable in short lines, and comes back as it was", function()
  local given = "ü = 1 \n" .. ("→"):rep(60) .. "\n.\n\ttab\r\nend  "
  local text = mail.body_text(given)
  for line in text:gmatch "(.-)\r\n" do
    t.equal(#line <= 76, true)
    t.equal(line:find "[^\32-\126]", nil)
    t.equal(line:find " $", nil)
  end
  local back = text:gsub("=\r\n", ""):gsub("=(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end):gsub("\r\n", "\n")
  t.equal(back, (given:gsub("\r\n", "\n")) .. "\n")
end)

t.test("what is no plain address is none", function()
  for _, good in ipairs { "a@b.example", "first.last+tag@mail.example.com", "root@localhost" } do
    t.equal(mail.is_address(good), true)
  end
  for _, bad in ipairs {
    "", "a", "a@", "@b", "a b@c", "a@b c", "A <a@b>", "a@b,c@d", "a@b\r\nRCPT TO:<c@d>", "a@b\0", '"a"@b', "a@b..c", "a@.b",
    ("x"):rep(250) .. "@b.c", "ü@b.c", 5,
  } do
    t.equal(mail.is_address(bad), false)
  end
end)

t.test("where mails go is read strictly", function()
  local function server(url, clear)
    local found, why = mail.server { url = url, from = "a@b.c", clear = clear }
    return found and ("%s %d %s"):format(found.host, found.port, found.protection) or why
  end
  t.equal(server "smtp://mail.example.com", "mail.example.com 587 starttls")
  t.equal(server "smtps://mail.example.com/", "mail.example.com 465 tls")
  t.equal(server "smtp://[::1]:2525", "::1 2525 starttls")
  t.equal(server("smtp://127.0.0.1:25", true), "127.0.0.1 25 clear")
  t.equal(server("smtps://127.0.0.1", true), "127.0.0.1 465 tls")
  t.equal(server "smtp://u:p@mail.example.com", "smtp: its url holds a login")
  for _, bad in ipairs { "mail.example.com", "http://a", "smtp://", "smtp://a b", "smtp://a:x", "smtp://a/path" } do
    t.equal(server(bad), ("smtp: '%s' is no server"):format(bad))
  end
  t.equal(select(2, mail.server { url = "smtp://a", from = "x" }), "smtp: from 'x' is no mail address")
end)

t.test("an event keeps to the protocol's limits", function()
  local message = { text = ("ü"):rep(2000), id = "aabb", severity = "high", run = "r", environment = "e", playbook = "p" }
  local event = pagerduty.event(message, "host")
  t.equal(#event.payload.summary <= 1024 and utf8.len(event.payload.summary) ~= nil, true)
  t.equal({ event.event_action, event.dedup_key, event.payload.severity, event.payload.source }, { "trigger", "aabb", "error", "host" })
  message.once, message.event = ("k"):rep(300), "resolve"
  event = pagerduty.event(message, "host")
  t.equal({ #event.dedup_key <= 255, event.event_action, event.payload }, { true, "resolve", nil })
end)

t.test("20 ways to break out of a value, tried in from, to, subject and a header of ours: none passes", function()
  local tails = {
    "\r\nBcc: evil@x.test", "\nBcc: evil@x.test", "\rBcc: evil@x.test", "\r\n\r\nbody", "\r\n Bcc: evil@x.test", "\n\tBcc: x",
    "\0", "\1", "\v", "\f", "\27[2J", "\127", "\b", "\r", "\n", "\r\n", "\n\n", "> RCPT TO:<evil@x.test", "\r\n.\r\nMAIL FROM:<a@b>",
    "\u{2028}Bcc: evil@x.test",
  }
  local tried, passed = 0, 0
  for _, tail in ipairs(tails) do
    for _, address in ipairs { "a@b.test" .. tail, "a" .. tail .. "@b.test", tail .. "a@b.test" } do
      tried = tried + 2 -- from and to
      passed = passed + (mail.is_address(address) and 1 or 0)
    end
    local text = mail.build {
      from = "a@b.test", to = { "c@d.test" }, subject = "x" .. tail, text = "body", id = "1",
      date = { year = 2026, month = 11, day = 21, hour = 7, min = 0, sec = 0, wday = 6 },
      headers = { { "X-Ours", "x" .. tail } },
    }
    tried = tried + 2
    local head = text:match "^(.-)\r\n\r\n" .. "\r\n"
    for line in head:gmatch "(.-)\r\n" do
      local known = line:find "^%a[%w-]*: " or line:find "^ "
      passed = passed + ((not known or line:find "^Bcc" or line:find "%c") and 1 or 0)
    end
  end
  print(("%d injections into mails: %d passed"):format(tried, passed))
  t.equal(passed, 0)
end)
