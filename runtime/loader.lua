--- Playbooks: text to header and steps. Loading only declares; nothing touches the world.
local errors = require "runtime.errors"
local files = require "runtime.playbook_files"
local random = require "runtime.random"
local loader = {}

--- Instructions that the top level of a playbook may take: far more than declaring needs.
local TOP_LEVEL_LIMIT = 100000000
local TEXT_CAP = 1024 * 1024

--- The `---` comment a file begins with: its first sentence, the rest, and its @usage lines.
---@return {synopsis: string?, about: string?, usage: string[]}
function loader.comment(source)
  local lines, usage = {}, {}
  for line in source:gmatch "([^\n]*)\n?" do
    local said = line:match "^%-%-%-%s?(.*)$"
    local plain = line:match "^%-%-%s?(.*)$"
    if said and said:find "^@usage%s" then
      usage[#usage + 1] = said:match "^@usage%s+(.*)$"
    elseif said then
      lines[#lines + 1] = said
    elseif not plain and not line:find "^#!" then
      break
    end
  end
  local whole = table.concat(lines, " ")
  local first = whole:match "^(.-[.!?])%s" or whole:match "^(.-[.!?])$" or whole
  return { synopsis = first ~= "" and first or nil, about = whole ~= "" and whole or nil, usage = usage }
end

--- The line of a header's field, searched from the line of the `playbook` call on.
local function line_of_field(source, first_line, field)
  local number, before = 0, nil
  for line in source:gmatch "([^\n]*)\n?" do
    number = number + 1
    if number >= first_line then
      local from = line:find("%f[%w_]" .. field:gsub("%W", "%%%0") .. "%f[^%w_]%s*=")
      if from and not line:sub(1, from - 1):find "%-%-" then
        return number
      elseif before and line:find "^}" then
        return nil
      end
      before = true
    end
  end
  return nil
end

--- A function that says where the header, or a field of it, stands.
local function locator(file, source, where)
  local first = tonumber((where or ""):match ":(%d+)$") or 1
  return function(field)
    local line = field and line_of_field(source, first, field)
    return ("%s:%d"):format(file, line or first)
  end
end

--- Where texts come from: the playbooks and the standard library as they are now. A run that is gone on with
--- has another source, its frozen copy.
---@class opsrun.Source
---@field find fun(given: string): string, string      path and name of a playbook; raises a load error
---@field read fun(path: string, name: string): string its text
---@field module fun(name: string): string?            a module of the standard library

---@param host table
---@return opsrun.Source
function loader.source(host)
  local source = {}
  function source.find(given)
    return files.find(host, given)
  end
  function source.read(path, name)
    local text, err = host.files.read(path, TEXT_CAP)
    if not text then
      error(errors.load { message = ("playbook '%s': %s"):format(name, err.message) }, 0)
    end
    return text
  end
  function source.module(name)
    return host.source("stdlib." .. name)
  end
  return source
end

--- A line that begins with # (for a shell) is a comment.
local function without_shebang(source)
  return source:sub(1, 1) == "#" and "--" .. source or source
end

local function compile(host, source, file, environment)
  local chunk, err = host.chunk.load(without_shebang(source), file, environment)
  if chunk then
    return chunk
  elseif err.code == "bytecode" then
    error(errors.load {
      message = ("'%s' is compiled bytecode: a playbook is text"):format(file),
      hint = "give opsrun the source",
    }, 0)
  end
  local where, message = err.message:match "^(.-:%d+): (.*)$"
  error(errors.load { message = "syntax error: " .. (message or err.message), where = where }, 0)
end

--- What the top level raised, as a load error at the author's line.
local function as_load_error(err, file)
  if errors.is(err) and err.kind ~= "script" then
    return err
  end
  local message = errors.is(err) and err.message or tostring(err)
  local where = errors.is(err) and err.where or nil
  local at, rest = message:match "^([^:\n]+:%d+): (.*)$"
  if at then
    where, message = at, rest
  end
  return errors.load { message = message, where = where or file, hint = errors.is(err) and err.hint or nil }
end

--- In a header-only run modules are not loaded: anything may be asked of them, nothing comes of it.
local inert = setmetatable({}, {
  __index = function(self)
    return self
  end,
  __call = function(self)
    return self
  end,
  __newindex = function() end,
})

local HEADER_READ = {}

--- The part of the text up to the end of the header: a line that begins with `}` after the one that
--- begins with `playbook`. nil when it is not written like that.
local function head_of(source)
  local from = source:find("\nplaybook", 1, true)
  local till = from and source:find("\n}", from, true)
  return till and source:sub(1, (source:find("\n", till + 1, true) or 0) - 1)
end

--- Runs the text until its header; returns what the author wrote there, unchecked, or nil.
local function run_head(host, source, file)
  local raw
  local scope = {
    require = function()
      return inert
    end,
    playbook = function(given)
      raw = given
      error(HEADER_READ, 0)
    end,
    math = math,
    string = string,
    table = table,
    tostring = tostring,
    tonumber = tonumber,
    pairs = pairs,
    ipairs = ipairs,
    type = type,
  }
  local chunk, err = host.chunk.load(source, file, setmetatable(scope, getmetatable(inert)))
  if not chunk then
    return nil, err
  end
  host.chunk.call(chunk, TOP_LEVEL_LIMIT)
  return raw
end

--- One field of a head that is written as a plain string, and whether something is joined to it; plain searches, since
--- patterns that scan a whole text take ten times as long.
local function scan_field(head, name, from)
  local at = from
  while true do
    local first, last = head:find(name, at, true)
    if not first then
      return nil
    end
    local before = head:sub(first - 1, first - 1)
    if before == " " or before == "\n" or before == "," or before == "{" then
      local value, joined = head:match('^ *= *"([^"]*)"%s*(%.?)', last + 1)
      if value then
        return not value:find("\\", 1, true) and value or nil, joined == "."
      end
    end
    at = last + 1
  end
end

--- Could what looks like a field be in a comment? `--` in a text, or before words, is in nobody's way.
local function has_field_in_comment(head, from)
  local at = head:find("--", from, true)
  while at do
    local rest = head:match("^[^\n]*", at + 2)
    if rest:sub(1, 1) == "[" or rest:find("=", 1, true) and rest:find('"', 1, true) then
      return true
    end
    at = head:find("--", at + 2 + #rest, true)
  end
  return false
end

--- The fields `list` shows, when the header writes them as plain strings as most do: compiling 78
--- heads costs more than everything else `list` does. nil when there is a comment or a `..` in the way.
local function scan(head)
  local from = head:find("\nplaybook", 1, true)
  if not from or has_field_in_comment(head, from) then
    return nil
  end
  local title, title_joined = scan_field(head, "title", from)
  local about, about_joined = scan_field(head, "about", from)
  if not title or title_joined or about_joined then
    return nil
  end
  return {
    title = title,
    about = about,
    kind = scan_field(head, "kind", from),
    severity = scan_field(head, "severity", from),
    respond = scan_field(head, "respond", from),
  }
end

--- Title, severity and the like of a playbook, cheaply: compiles and runs no more than its head.
--- Nothing is validated. nil and why when there is no header to be read.
---@param host table
---@param path string
---@return table? raw, string? why
function loader.head(host, path)
  local source, err = host.files.read(path, TEXT_CAP)
  if not source then
    return nil, err.message
  end
  local file = path:match "[^/]+$"
  local text_of_head = head_of(source)
  local raw = text_of_head and scan(text_of_head)
  if raw then
    return raw, nil, source
  end
  raw = text_of_head and run_head(host, without_shebang(text_of_head), file)
  if not raw then
    raw, err = run_head(host, without_shebang(source), file)
  end
  if type(raw) ~= "table" then
    return nil, type(err) == "table" and err.message or "it has no header"
  end
  return raw, nil, source
end

--- `require` of the sandbox: modules of the standard library, each loaded once a playbook. Their texts are
--- collected in `modules`.
local function module_loader(host, from, scope, modules)
  local loaded, loading = {}, {}
  return function(name)
    if type(name) ~= "string" then
      error(("bad argument #1 to 'require' (string expected, got %s)"):format(type(name)), 2)
    elseif loaded[name] ~= nil then
      return loaded[name]
    elseif loading[name] then
      error(("module '%s' requires itself"):format(name), 2)
    end
    local source = name:find "^[%a_][%w_]*$" and from.module(name) or nil
    if not source then
      local err = errors.wrap(("no module '%s' in the standard library"):format(name), host.where and host.where())
      err.hint = "a playbook can require modules of the standard library only"
      error(err, 0)
    end
    loading[name], modules[name] = true, source
    local chunk, err = host.chunk.load(source, "stdlib." .. name, scope.environment)
    if not chunk then
      error(err.message, 0)
    end
    local value = chunk()
    loading[name] = nil
    if value == nil then
      value = true
    end
    if type(value) == "table" and getmetatable(value) == nil and host.where then
      value = require("runtime.author.arguments").guard_all(value, host.where, name .. ".")
    end
    loaded[name] = type(value) == "table" and scope.freeze(value, name) or value
    return loaded[name]
  end
end

--- Wraps what declares so that the header comes first.
local function after_header(name, fn, state, host)
  return function(...)
    if not state.header then
      error(errors.load {
        message = ("%s stands before the header"):format(name),
        where = host.where and host.where(),
        hint = 'a playbook begins with playbook { title = "…" }',
      }, 0)
    end
    return fn(...)
  end
end

--- The function `playbook` of the sandbox.
local function header_function(host, book, state)
  local header = require "runtime.header"
  return function(raw)
    local where = host.where and host.where() or book.file .. ":1"
    if state.header then
      error(errors.load {
        message = ("the header is declared twice: also at %s"):format(state.where),
        where = where,
        hint = "one playbook, one header",
      }, 0)
    end
    state.header, state.where = header.validate(raw, locator(book.file, book.text, where), host.clock), where
  end
end

--- Loads a playbook whole: its top level runs in the sandbox, `globals` are the names of the API, of which
--- `step` and `group` collect. Raises load errors.
---@param services {host: table, source: opsrun.Source?}
---@param given string name or path
---@param options {globals: table<string, any>}
---@return table book {path, name, file, text, digest, header, synopsis, about, usage, known, modules}
function loader.load(services, given, options)
  local host = services.host
  local sandbox = require "runtime.sandbox"
  local from = services.source or loader.source(host)
  local path, name = from.find(given)
  local book = { path = path, name = name, file = path:match "[^/]+$", modules = {} }
  book.text = from.read(path, given)
  local state, globals = {}, {}
  for key, value in next, options.globals or {} do
    globals[key] = value
  end
  for _, key in ipairs { "step", "group" } do
    globals[key] = globals[key] and after_header(key, globals[key], state, host)
  end
  globals.playbook = header_function(host, book, state)
  local scope = { freeze = sandbox.freeze }
  scope.environment, book.known = sandbox.build {
    globals = globals,
    require = module_loader(host, from, scope, book.modules),
    random = random.source(host),
    where = host.where,
  }
  local chunk = compile(host, book.text, book.file, scope.environment)
  local ok, err = host.chunk.call(chunk, TOP_LEVEL_LIMIT, function(raised)
    if errors.is(raised) then
      raised.where = raised.where or host.where and host.where()
    end
    return raised
  end)
  if not ok then
    error(as_load_error(err, book.file), 0)
  elseif not state.header then
    error(errors.load {
      message = ("'%s' has no header"):format(book.file),
      hint = 'a playbook begins with playbook { title = "…" }',
    }, 0)
  end
  book.header = state.header
  book.digest = host.digest and host.digest.sha256(book.text)
  local comment = loader.comment(book.text)
  book.synopsis, book.about, book.usage = comment.synopsis, comment.about, comment.usage
  return book
end

return loader
