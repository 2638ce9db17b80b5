--- What the command table cannot say, reviewed by hand: looks at the server that carry no "readonly" flag,
--- commands that carry it and are no reads, and commands that a shared connection cannot bear.
local reviewed = {}

local function set(text)
  local names = {}
  for name in text:gmatch "%S+" do
    names[name] = true
  end
  return names
end

--- Looks: they answer from the server's own facts and change neither data nor settings. What hands out
--- password hashes (ACL LIST, ACL GETUSER) is not among them.
reviewed.looks = set [[
  acl|cat acl|whoami
  client|getname client|id client|info client|list
  cluster|countkeysinslot cluster|info cluster|keyslot cluster|myid cluster|nodes cluster|shards cluster|slots
  command command|count command|docs command|getkeys command|info command|list
  config|get echo info lastsave
  latency|doctor latency|histogram latency|history latency|latest
  memory|doctor memory|malloc-stats memory|stats
  module|list ping
  pubsub|channels pubsub|numpat pubsub|numsub pubsub|shardchannels pubsub|shardnumsub
  role slowlog|get slowlog|len time
]]

--- Flagged "readonly", and yet no read: TOUCH exists to move keys in the order of eviction.
reviewed.not_reads = set "touch"

--- Settings whose value CONFIG GET would print in clear.
reviewed.secret_settings = set "requirepass masterauth masteruser tls-key-file-pass tls-client-key-file-pass"

local function reason(text, names)
  for name in pairs(set(names)) do
    reviewed.refused[name] = text
  end
end

--- name -> why it is never sent.
reviewed.refused = {}
reason("it turns the connection into a stream of messages", [[
  subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe monitor sync psync replconf
]])
reason("it would hold the connection until something happens; use wait_until", [[
  blpop brpop brpoplpush blmove blmpop bzpopmin bzpopmax bzmpop wait
]])
reason("it alters the connection, which other steps share", [[
  auth hello quit reset select multi exec discard watch unwatch asking readonly readwrite
  client|reply client|tracking client|caching client|setname client|no-evict
]])
reason("it needs a debugger at the other end", "script|debug")

return reviewed
