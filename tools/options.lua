--- What each option of an effect is: {type with its unit, text}. By kind ("files.list"), else by module, else
--- common to all. From here come the option tables of the reference and the stubs; a test compares it with the rows.
local duration, size = "duration", "size"

local options = {}

options.common = {
  id = { "text", "of `confirm`, `ask`, `manual`, `choose`: the gate's id; of others a name in the journal" },
  timeout = { duration, "how long it may take" },
  on_dry = { "table", "fields that a change's result has in a dry run: `{ count = #sessions }`" },
  costs = { "table", "what it spends of the header's `limits`: `{ sessions = 20 }`, or "
    .. "`{ rows = { most = 500, by = \"count\" } }`, settled by a field of the result" },
  happened = { "function", "did it happen? Asked after a kill in the middle of it; reads only, returns true, false, or nil for unknown" },
  summary = { "text", "the author's words for a change; what is really sent stands beside them" },
}

options.by_module = {
  sql = {
    lock_timeout = { duration, "how long to wait for a lock; default: the connection's" },
    exact = { "boolean", "numeric comes as an exact text, not as a number" },
    autocommit = { "boolean", "no transaction around it: for what no transaction may hold" },
    columns = { "list of texts", "names in order; default: those of a query's rows, or of the first row" },
    isolation = { "text", "`\"read committed\"` (default), `\"repeatable read\"`, `\"serializable\"`" },
  },
  redis = {
    match = { "text", "a pattern as SCAN takes it" },
    type = { "text", "keys of this type only: `\"string\"`, `\"hash\"` …" },
    count = { "integer, keys", "so many the server looks at a round: 1,000 unless said, at most 10,000" },
    cap = { "integer, keys", "ends after so many" },
    with = { "list of texts", "up to five reads of each key: `{ \"ttl\", \"memory usage\" }`" },
  },
  http = {
    query = { "table", "added to the path, escaped" },
    headers = { "table", "a secret is taken as a value" },
    json = { "any", "sent as application/json; no secret in it" },
    form = { "table", "sent as a form; `{ file = path, type =, name = }` makes it multipart, 64 MiB in all" },
    body = { "text", "sent as it is" },
    file = { "path", "a file to send, never held whole" },
    expect = { "text, integer or list", "`\"2xx\"` (default), `200`, `{ 200, 404 }`, `\"any\"`: any other status fails" },
    retries = { "integer, 0 to 10", "reads only: so many more tries after a failure that may pass" },
    follow = { "integer, 0 to 3", "reads only: so many redirects, of the same origin" },
    idempotency = { "boolean or text", "changes only: a key of its own in `Idempotency-Key`, or in the header of that name" },
    items = { "text", "where the list stands in a page: `\"data\"`" },
    next = { "text or table", "where the next page is, see below" },
    limit = { "integer, pages", "more than that is an error; 1,000 unless said" },
  },
  shell = {
    codes = { "list of integers", "exit codes that are well; default `{ 0 }`" },
    env = { "table", "variables beside PATH, HOME, LANG, TERM, USER; secrets are taken" },
    stdin = { "text or secret", "what it gets to read; else nothing" },
    cwd = { "path", "where it runs; default: where opsrun was called, on a host the user's home" },
    host = { "text", "a host of the environment; default: this machine" },
    user = { "text", "as whom: `runuser` when we are root, else `sudo -n`, which never asks" },
    tty = { "boolean", "a terminal of its own, 24 × 80; not together with `stdin`; here only `run`" },
    to = { "text", "the name of an artifact that stdout goes into, any size, byte for byte" },
    net = { "boolean", "`read` only: it may open sockets: declared, not proved" },
  },
  service = {
    host = { "text", "one of its hosts" },
    limit = { "integer, releases", "so many at most: 20 unless said, at most 1,000" },
    settle = { duration, "it must be so that long after: 1s unless said" },
  },
  files = {
    pattern = { "text", "`*.log`, of the name; with a `/` in it of the path below the directory" },
    recursive = { "boolean", "`list`: what is below, too; `remove`: a directory with all it holds" },
    older_than = { duration, "since the last write" },
    newer_than = { duration, "since the last write" },
    larger_than = { size, "of the file" },
    open = { "boolean", "`list`: false only files that nobody holds open, true only the others; `compress`: true takes open files too" },
    sort = { "text", "`name` (default), `size`, `oldest`, `newest`" },
    limit = { "integer, files", "the first so many; `largest`: 20 unless said" },
    any_type = { "boolean", "not regular files alone" },
    cap = { size, "of what is read: 16mb unless said; more is an error" },
    lines = { "integer, lines", "10 unless said" },
    mode = { "text", "`\"0640\"`; default: as before, or 0644, directories 0755" },
    create = { "boolean", "fails when the file is there" },
    keep = { "boolean", "leaves the original too" },
    level = { "integer, 1 to 9", "6 unless said" },
    to = { size, "what stays: 0 unless said" },
    parents = { "boolean", "makes what is missing above it" },
  },
  notify = {
    severity = { "text", "`info` `warning` `critical`, or `low` `medium` `high`" },
    title = { "text", "one line; the subject of a mail" },
    once = { "text", "a key: told once in a run; PagerDuty's dedup_key" },
    event = { "text", "`trigger` (default), `acknowledge`, `resolve`; the last two need `once`" },
    attach = { "path or list of paths", "7 MiB in all; mails carry them, other channels are told their names" },
  },
  people = {
    type = { "text", "this word must be typed; `--yes` does not count" },
    impact = { "integer, a count", "how many it touches: shown with the question" },
    details = { "text or rows", "shown when `d` is typed at the question" },
    within = { duration, "no answer in that time is a no" },
    options = { "list", "texts, or `{ id, label }`; without it any text is an answer" },
    default = { "text", "what Enter, or `--yes`, takes" },
    many = { "boolean", "several may be picked: a list is returned" },
    required = { "boolean", "a no, and nobody to ask, end the run; without it, it may stay open" },
    items = { "list of texts", "what is to be done, one after another" },
  },
  state = { over = { duration, "of the last run that is at least so long ago" } },
  secret = {
    name = { "text", "what stands in its place: `‹secret:NAME›`; default `generated`" },
    bytes = { "integer, 16 to 1024", "random bytes; 32 unless said" },
    form = { "text", "`\"hex\"` (default) or `\"base64url\"`: how they are written" },
    to = {
      "text or list",
      "where it may go: `\"stdin\"` and `\"env\"` of commands, `\"header\"` of http, `\"file\"`, `\"sql\"`, `\"redis\"`; default: any",
    },
  },
}

--- What an option of a row is.
---@param row table of runtime/effects
---@param name string
---@return table? {type, text}
function options.of(row, name)
  local module = options.by_module[row.module]
  return module and module[name] or options.common[name]
end

return options
