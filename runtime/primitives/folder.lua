--- artifact: files in the run's own folder.
local context = require "runtime.context"
local errors = require "runtime.errors"
local plain = require "runtime.plain"
local report = require "runtime.report"
local table_text = require "runtime.table_text"

local function csv_cell(value)
  local text = value == nil and "" or tostring(value)
  if text:find '[",\n\r]' then
    text = '"' .. text:gsub('"', '""') .. '"'
  end
  return text
end

--- Rows in the format that the artifact's name asks for: .json, .csv, else aligned text.
local function render(host, name, content)
  if type(content) == "string" then
    return content
  elseif name:find "%.json$" then
    local text, why = host.json.encode(plain.copy(content))
    if not text then
      error(errors.wrap(("artifact '%s': %s"):format(name, why)), 0)
    end
    return host.mask.json(text) .. "\n" -- as JSON, so that no form hides behind an escape
  elseif name:find "%.csv$" then
    local columns = table_text.columns(content)
    local lines = { table.concat(columns, ",") }
    for _, row in ipairs(content) do
      local cells = {}
      for i, column in ipairs(columns) do
        cells[i] = csv_cell(row[column])
      end
      lines[#lines + 1] = table.concat(cells, ",")
    end
    return table.concat(lines, "\n") .. "\n"
  end
  return table.concat(table_text.any(content), "\n") .. "\n"
end

---@param services {host: table, run: table}
return function(services)
  local host, run = services.host, services.run
  local adapter = {}

  function adapter.describe(_, args)
    local name, content = args[1], args[2]
    if not name:find "^[%w][%w%._-]*$" or #name > 120 then
      error(errors.wrap(("artifact: '%s' is no file name: letters, digits, dot, dash, underscore"):format(name)), 0)
    end
    local text = render(host, name, content)
    return {
      target = name,
      summary = ("artifact %s (%d bytes)"):format(name, #text),
      body = { name = name, digest = host.digest.sha256(text) },
      request = { name = name, text = text },
      opts = args.opts,
    }
  end

  function adapter.perform(_, request)
    local path, err = run.store:artifact(request.name, request.text)
    if not path then
      error(errors.effect { message = err.message, code = err.code, outcome = "failed" }, 0)
    end
    report.emit { event = "artifact", step = context.current().step.shown, name = request.name, path = path }
    return path
  end

  return adapter
end
