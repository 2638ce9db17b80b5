--- Commands: shell.read runs in a jail that takes away the means to act; shell.run changes.
local options = { "codes", "env", "stdin", "cwd", "host", "user", "tty", "to" }

local function row(class, verb, more, help)
  local list = { table.unpack(options) }
  for _, name in ipairs(more) do
    list[#list + 1] = name
  end
  return {
    class = class,
    module = "shell",
    verb = verb,
    face = "library",
    params = { { "command", "string|table" }, { "opts", "options?" } },
    options = list,
    returns = "{code, stdout, stderr, text, truncated} :lines() :rows()",
    help = help,
  }
end

return {
  ["shell.read"] = row("read", "read", { "net" }, "a command that only looks, in a jail; a string runs under bash"),
  ["shell.run"] = row("change", "run", {}, "a command that changes something; a string runs under bash"),
}
