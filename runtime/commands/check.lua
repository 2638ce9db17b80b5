--- opsrun check: loads playbooks, or all below a directory, and prints what would stop or mislead.
local author_globals = require "runtime.author.globals"
local classify = require "runtime.redis.classify"
local codes = require "runtime.codes"
local errors = require "runtime.errors"
local files = require "runtime.playbook_files"
local lint = require "runtime.lint"
local loader = require "runtime.loader"
local sandbox = require "runtime.sandbox"
local step_options = require "runtime.step_options"
local text = require "runtime.text"

--- The names a playbook has, also when it did not load.
local function known_names(globals)
  local names = { table.unpack(sandbox.basic) }
  for name in pairs(globals) do
    names[#names + 1] = name
  end
  names[#names + 1] = "playbook"
  table.sort(names)
  return names
end

--- A command of Redis as a method of its handle: does it write?
local function is_change(library, name)
  return library == "redis" and classify.command({ name }).why == "write"
end

--- Findings of one playbook, the load error first.
local function check_one(services, given)
  local host = services.host
  local globals, declared = author_globals(host)
  local findings, file = {}, given:match "[^/]+$" or given
  local ok, book = pcall(function()
    local book = loader.load(services, given, { globals = globals })
    step_options.verify(declared.nodes, book.header)
    return book
  end)
  local path
  if ok then
    path, file = book.path, book.file
  else
    local err = errors.wrap(book)
    if err.kind ~= "load" then
      error(book, 0)
    end
    findings[1] = { where = err.where or file, message = err.message, hint = err.hint }
    ok, path = pcall(files.find, host, given)
    file = ok and path:match "[^/]+$" or file
  end
  local source = ok and host.files.read(path, 1024 * 1024)
  local facts = source and host.chunk.analyse((source:gsub("^#", "--#")), file)
  for _, finding in ipairs(facts and lint.findings(facts, file, known_names(globals), is_change) or {}) do
    local first = findings[1]
    if not (first and first.where == finding.where and first.message == finding.message) then
      findings[#findings + 1] = finding
    end
  end
  return findings, ok and path or given
end

--- The words of the command line, directories opened.
local function expand(host, words)
  local list = {}
  for _, word in ipairs(words) do
    local facts = host.files.stat(word)
    if facts and facts.type == "directory" then
      for _, path in ipairs(files.below(host, word)) do
        list[#list + 1] = path
      end
    else
      list[#list + 1] = word
    end
  end
  return list
end

---@param services {host: table, options: table}
---@return integer exit code
return function(services)
  local host, json = services.host, services.options.flags.json
  local list = expand(host, services.options.words)
  local count = 0
  for _, given in ipairs(list) do
    local findings, path = check_one(services, given)
    count = count + #findings
    for _, finding in ipairs(findings) do
      if json then
        finding.playbook = path
        host.term.out(host.json.encode(finding) .. "\n")
      else
        host.term.out(("%s: %s\n"):format(finding.where, finding.message), "bold")
        if finding.hint then
          host.term.out(("  %s\n"):format(finding.hint))
        end
      end
    end
  end
  if #list == 0 then
    host.term.message("error", ("no playbook below '%s'"):format(services.options.words[1]), "playbooks end in .lua")
    return codes.load
  end
  if not json then
    host.term.out(("%s: %s\n"):format(text.plural(#list, "playbook"), count == 0 and "nothing to report" or text.plural(count, "finding")))
  end
  return count == 0 and codes.done or codes.load
end
