--- The files adapter. A list's entries carry what they were; a change leaves and names what is no longer
--- that. What may be changed is below uses.files or a parameter of type path, and no link leads out of it.
local context = require "runtime.context"
local errors = require "runtime.errors"
local policy = require "runtime.policy"
local report = require "runtime.report"
local request_of = require "runtime.files.request"
local settle = require "runtime.files.settle"
local sinks = require "runtime.sinks"
local units = require "runtime.units"

--- Lines of a preview, and files that a note names.
local preview_most, named_most = 1000, 20
local tail_lines, largest_files = 10, 20
--- Entries of a list beyond which the journal has no room for it: an entry takes at least 150 bytes there.
local kept_most = 8000

local host_verbs = { filesystems = "systems", largest = "list", open = "holders" }
local reads = { list = true, stat = true, read = true, tail = true, checksum = true, filesystems = true, largest = true, open = true }
local listed_columns = { "path", "size", "age" }

local hints = {
  missing = "is the path right, and mounted?",
  denied = "may this user read it?",
  ["too many"] = "pattern, older_than or larger_than narrow it; limit takes the first in order",
  ["too large"] = "cap = \"64mb\" takes more",
  timeout = "timeout = \"5m\" lets it take longer",
}

local function note(text)
  local current = context.current()
  report.emit { event = "note", step = current and current.step and current.step.shown, text = text }
end

---@param services {host: table, run: table}
return function(services)
  local host, run = services.host, services.run
  local adapter = {}

  --- What the playbook that makes the change may touch: inside a `call` that is the called one.
  local function allowed()
    local current = context.current()
    return policy.allowed(current and current.run or run, "files")
  end

  -- -- describe ------------------------------------------------------------------------------------

  --- "remove 12 files below /var/log/app (3.4mb)", "remove /var/log/app/a.log"
  local function summarise(verb, items)
    if #items == 1 then
      return ("%s %s"):format(verb, items[1].path)
    elseif #items == 0 then
      return ("%s no files"):format(verb)
    end
    local size, known = 0, true
    for _, item in ipairs(items) do
      size, known = size + (item.size or 0), known and item.size ~= nil
    end
    local sum = known and (" (%s)"):format(request_of.size_words(size)) or ""
    return ("%s %d files below %s%s"):format(verb, #items, request_of.common(items), sum)
  end

  local function text_of(verb, value)
    if type(value) == "string" or host.secret.is(value) then
      sinks.check(value, "file", "files." .. verb)
      return value
    end
    error(errors.wrap(("files.%s: 'text': expected a string, got %s"):format(verb, type(value))), 0)
  end

  --- A text is journaled by its digest; a secret by its name.
  local function shown_text(text)
    if host.secret.is(text) then
      return "‹secret:" .. host.secret.name(text) .. "›"
    end
    return { sha256 = host.digest.sha256(text), bytes = #text }
  end

  local function describe_change(verb, args, fields)
    local items, is_list = request_of.items(verb, args[1])
    local paths, told = {}, {}
    for i, item in ipairs(items) do
      paths[i] = item.path
      told[i] = { path = item.path, id = item.id }
    end
    fields.items = told
    if verb == "write" or verb == "append" then
      fields.text = text_of(verb, args[2])
    end
    local summary = summarise(verb, items)
    return {
      target = #items == 1 and paths[1] or request_of.common(items),
      summary = summary,
      uses = { "files", paths },
      body = {
        files = host.json.array(told),
        text = fields.text and shown_text(fields.text),
        recursive = fields.recursive,
        size = fields.size,
        mode = fields.mode,
        keep = fields.keep,
      },
      request = { fields = fields, summary = summary, is_list = is_list },
      opts = args.opts,
    }
  end

  local function describe_read(verb, args, fields)
    fields.path = verb ~= "filesystems" and request_of.path(verb, args[1]) or nil
    if verb == "largest" then
      fields.recursive, fields.sort, fields.children = true, "size", true
      fields.limit = fields.limit or largest_files
    elseif verb == "tail" then
      fields.limit = fields.limit or tail_lines
    end
    local body = { path = fields.path }
    for _, name in ipairs { "pattern", "recursive", "any_type", "older_than", "newer_than", "larger_than", "open", "sort", "limit" } do
      body[name] = fields[name]
    end
    return {
      target = fields.path or "file systems",
      summary = ("%s %s"):format(verb, fields.path or ""):gsub(" $", ""),
      body = body,
      request = { fields = fields },
      opts = args.opts,
    }
  end

  function adapter.describe(verb, args)
    local fields = request_of.options(verb, args.opts)
    fields.verb = host_verbs[verb] or verb
    return (reads[verb] and describe_read or describe_change)(verb, args, fields)
  end

  -- -- answers -------------------------------------------------------------------------------------

  local function raise(err, class)
    err.hint = err.hint or hints[err.code]
    error(errors.from_host(err, class), 0)
  end

  local function with_age(entry)
    entry.age = units.duration(math.max(0, math.floor(host.clock.wall() - entry.mtime)))
    return entry
  end

  local function say_unread(list, answer)
    for i = 1, math.min(#answer.unread, named_most) do
      note(("not read: '%s': %s"):format(answer.unread[i].path, answer.unread[i].reason))
    end
    if answer.unread_count > named_most then
      note(("not read: %d more"):format(answer.unread_count - named_most))
    end
    list.unread = #answer.unread > 0 and answer.unread or nil
  end

  --- Files held open by processes that we may not look into are not known: that is said.
  local function say_unseen(count)
    if count > 0 then
      note(("what %d of the processes hold open is not known: they could not be looked into"):format(count))
    end
    return count > 0 and count or nil
  end

  local finish = {}

  function finish.list(answer)
    local list, size = {}, 0
    for i, entry in ipairs(answer.entries) do
      list[i] = with_age(entry)
      size = size + entry.size
    end
    list.columns, list.count, list.size = listed_columns, #list, size
    list.limited = answer.limited or nil
    say_unread(list, answer)
    list.unseen = say_unseen(answer.unseen)
    return list
  end

  function finish.largest(answer, request)
    local list = finish.list(answer)
    list.directories = { columns = { "path", "size", "count" } }
    local above = request.fields.path:gsub("/$", "")
    for i, child in ipairs(answer.children) do
      list.directories[i] = { path = above .. "/" .. child.name, size = child.size, count = child.count }
    end
    return list
  end

  function finish.stat(answer)
    return answer.path and with_age(answer) or nil
  end

  function finish.checksum(answer)
    return answer.sha256
  end

  function finish.filesystems(answer)
    local rows = { columns = { "mount", "type", "size", "used", "free", "percent" } }
    return table.move(answer, 1, #answer, 1, rows)
  end

  function finish.open(answer)
    local rows = { columns = { "pid", "command", "path", "size", "deleted" } }
    rows.unseen = say_unseen(answer.unseen)
    return table.move(answer.holders, 1, #answer.holders, 1, rows)
  end

  --- What was left is named. Nothing done, and not because things changed: the change has failed.
  local function finish_change(verb, answer, request)
    local left = answer.left
    local broken
    for i, item in ipairs(left) do
      broken = broken or item.reason:find "^cannot " and item
      if i <= named_most and (request.is_list or answer.count > 0) then
        note(("left: '%s': %s"):format(item.path, item.reason))
      end
    end
    if #left > named_most then
      note(("left: %d more"):format(#left - named_most))
    end
    if answer.count == 0 and #left > 0 and (broken or not request.is_list) then
      local item = broken or left[1]
      error(errors.effect {
        message = ("cannot %s '%s': %s"):format(verb, item.path, (item.reason:gsub("^cannot %a+ it: ", ""))),
        code = "left",
        outcome = answer.freed > 0 and "done" or "failed",
      }, 0)
    end
    answer.unseen = say_unseen(answer.unseen)
    return answer
  end

  --- What the files are right before a change: by that it is found out later whether it happened.
  function adapter.prepare(verb, request)
    return not reads[verb] and settle.token(host, request.fields.items) or nil
  end

  --- Did a change happen that was begun and never ended? Reads only.
  ---@param verb string
  ---@param record table its effect.begin
  ---@return "done"|"not done"|"repeat"|nil, string? why, table? answer as perform gives it
  function adapter.settle(verb, record)
    return settle.find(host, verb, record)
  end

  function adapter.perform(verb, request)
    local fields = request.fields
    if not reads[verb] then
      fields.allowed = allowed()
    end
    local answer, err = host.fileops.run(fields)
    if answer == nil then
      raise(err, reads[verb] and "read" or "change")
    elseif not reads[verb] then
      return finish_change(verb, answer, request)
    end
    if finish[verb] then
      return finish[verb](answer, request)
    end
    return answer
  end

  --- A dry run looks at each item as the change would: what would be done, what would be left.
  function adapter.preview(verb, request)
    local fields = {}
    for name, value in pairs(request.fields) do
      fields[name] = value
    end
    fields.dry, fields.allowed = true, allowed()
    local answer, err = host.fileops.run(fields)
    if answer == nil then
      raise(err, "change")
    end
    local lines = {}
    for i, item in ipairs(answer.items) do
      if i > preview_most then
        lines[#lines + 1] = ("… and %d more"):format(#answer.items - preview_most)
        break
      end
      lines[#lines + 1] = ("%s (%s)"):format(item.path, item.created and "new" or request_of.size_words(item.size))
    end
    for _, item in ipairs(answer.left) do
      lines[#lines + 1] = ("left: '%s': %s"):format(item.path, item.reason)
    end
    if #answer.items ~= 1 or #answer.left > 0 then
      lines[#lines + 1] = ("%d file%s, %s"):format(answer.count, answer.count == 1 and "" or "s", request_of.size_words(answer.size))
    end
    if verb == "write" or verb == "append" then
      lines[#lines + 1] = host.secret.is(fields.text) and shown_text(fields.text) or ("%d bytes of text"):format(#fields.text)
    end
    return { lines = lines }
  end

  -- -- the journal ---------------------------------------------------------------------------------

  local extra = { "columns", "count", "size", "limited", "unread", "unseen", "directories" }
  local listed = { list = true, largest = true, filesystems = true, open = true }

  --- Lists carry fields beside their items, which JSON cannot hold in one.
  function adapter.keep(verb, result)
    if not listed[verb] or result == nil then
      return result
    elseif #result > kept_most then
      return nil, "too large" -- known without writing it all down first
    end
    local kept = { items = table.move(result, 1, #result, 1, host.json.array {}) }
    for _, name in ipairs(extra) do
      kept[name] = result[name]
    end
    if kept.directories then
      kept.directories = { items = table.move(result.directories, 1, #result.directories, 1, host.json.array {}) }
    end
    return kept
  end

  function adapter.revive(verb, kept)
    if not listed[verb] or kept == nil then
      return kept
    end
    local result = table.move(kept.items, 1, #kept.items, 1, {})
    for _, name in ipairs(extra) do
      result[name] = kept[name]
    end
    if kept.directories then
      result.directories = table.move(kept.directories.items, 1, #kept.directories.items, 1, { columns = { "path", "size", "count" } })
    end
    return result
  end

  return adapter
end
