--- Files that go along with a message. Mails carry them; the other channels are told their names.
local errors = require "runtime.errors"
local text = require "runtime.text"
local attach = {}

--- What all files of one message may have, in bytes; mail servers take about 10 MiB once it is encoded.
attach.most_bytes = 7 * 1024 * 1024
local most_files = 20

local types = {
  txt = "text/plain; charset=utf-8",
  log = "text/plain; charset=utf-8",
  csv = "text/csv; charset=utf-8",
  html = "text/html; charset=utf-8",
  json = "application/json",
}

--- The files of an option `attach`: one path or a list of them. Raises for what is none.
---@return {path: string, name: string, type: string}[]
function attach.files(given)
  local list, files = type(given) == "table" and given or { given }, {}
  for i, path in ipairs(list) do
    local name = type(path) == "string" and path:match "([^/]+)$"
    if not name or name:find "%c" then
      error(errors.wrap(("notify: option 'attach': expected the path of a file, got %s"):format(type(path))), 0)
    end
    files[i] = { path = path, name = name, type = types[name:match "%.(%w+)$"] or "application/octet-stream" }
  end
  if #files > most_files or (given ~= nil and #files == 0) then
    error(errors.wrap(("notify: option 'attach': expected 1 to %d files"):format(most_files)), 0)
  end
  return files
end

local function fail(message, code, hint)
  error(errors.effect { message = message, code = code, outcome = "not sent", hint = hint }, 0)
end

--- Reads them, before anybody is told. They are masked as every text that leaves is.
---@param read fun(path: string, cap: integer): string?, table?
function attach.read(read, files)
  local total = 0
  for _, file in ipairs(files) do
    local content, err = read(file.path, attach.most_bytes)
    if not content then
      fail(("cannot attach '%s': %s"):format(file.path, err.message), err.code, "is the path right? artifact() returns one")
    end
    file.content = text.masked(content)
    file.bytes = #file.content
    total = total + file.bytes
  end
  if total > attach.most_bytes then
    fail(("the attachments have %d bytes, 7 MiB go along with a message"):format(total), "too large",
      "attach less, or compress it: files.compress")
  end
end

--- "report.csv, disks.txt"
function attach.names(files)
  local names = {}
  for i, file in ipairs(files) do
    names[i] = file.name
  end
  return table.concat(names, ", ")
end

return attach
