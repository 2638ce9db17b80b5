--- A command as the remote side gets it: one line for the login shell of the user there, and what goes to its
--- standard input. Pure.
---
--- sshd hands the line to that shell, so it holds nothing a shell could read differently: words in single
--- quotes around a fixed script for /bin/sh. The words arrive as that script's arguments and no shell looks
--- into them. The environment goes through standard input, in front of the command's own input: values
--- are in nobody's list of processes, neither here nor there.
local remote = {}

--- One word, quoted so that sh, bash, zsh, ksh and fish read the same. A backslash stands outside the
--- quotes: fish would read two of them as one.
---@param word string
function remote.quote(word)
  if word:find "^[%w@%%+=:,./_-]+$" then
    return word
  end
  return "'" .. word:gsub("['\\]", { ["'"] = "'\\''", ["\\"] = "'\\\\'" }) .. "'"
end

local function quoted(words)
  local list = {}
  for i, word in ipairs(words) do
    list[i] = remote.quote(word)
  end
  return table.concat(list, " ")
end

-- $0 is the command's mark: what people see in a list of processes, and what ends the command later.

--- Reads NAME, then lines up to one that is the mark, until there is an empty name. `read` takes no byte
--- more than its line, so the rest is left for the command.
local read_env = 'nl=$(printf "\\n."); nl=${nl%.}; while IFS= read -r k && [ -n "$k" ]; do v=; f=; '
  .. 'while IFS= read -r l && [ "$l" != "$0" ]; do v=$v$f$l; f=$nl; done; export "$k=$v"; done; unset k v f l nl; '
local change_directory = 'cd -- "$1" || { echo "$0 cwd" >&2; exit 255; }; shift; '
local look_for_command = 'command -v -- "$1" >/dev/null || { echo "$0 missing" >&2; exit 255; }; '
--- 255 is also what ssh says when the connection breaks: the mark tells them apart.
local run_it = '(exec "$@"); c=$?; [ "$c" -ne 255 ] || echo "$0 255" >&2; exit "$c"'
local run_as = 'if [ "$(id -u)" = 0 ]; then set -- runuser -u "$u" -- "$@"; else set -- sudo -n %s-u "$u" -- "$@"; fi; '

local function names_of(env)
  local names = {}
  for name in pairs(env or {}) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

--- The standard input: parts in order, texts and secrets. nil when there is none.
local function input_of(request, mark, names)
  if #names == 0 then
    return request.stdin
  end
  local parts = {}
  for _, name in ipairs(names) do
    parts[#parts + 1] = name .. "\n"
    parts[#parts + 1] = request.env[name]
    parts[#parts + 1] = "\n" .. mark .. "\n"
  end
  parts[#parts + 1] = "\n"
  parts[#parts + 1] = request.stdin
  return parts
end

--- The command line for the remote login shell, and its standard input.
---@param request opsrun.Command
---@param mark string a word without meaning to a shell, of this command alone
---@return string line, string|table|nil stdin
function remote.command(request, mark)
  local names = names_of(request.env)
  local script, words = "", {}
  if request.tty then -- a terminal would show the input and change it: plain values become words
    for i, name in ipairs(names) do
      names[i] = nil
      words[#words + 1] = ("%s=%s"):format(name, request.env[name])
    end
    if #words > 0 then
      table.insert(words, 1, "env")
    end
  end
  if #names > 0 then
    script = read_env
  end
  if request.cwd then
    script = script .. change_directory
    table.insert(words, 1, request.cwd)
  end
  if request.user then
    local keep = #names > 0 and ("--preserve-env=%s "):format(table.concat(names, ",")) or ""
    script = script .. "u=$1; shift; " .. run_as:format(keep)
    table.insert(words, request.cwd and 2 or 1, request.user)
  else
    script = script .. look_for_command
  end
  table.move(request.argv, 1, #request.argv, #words + 1, words)
  local line = ("exec /bin/sh -c %s %s %s"):format(remote.quote(script .. run_it), mark, quoted(words))
  return line, input_of(request, mark, names)
end

--- Ends the process group of the command with this mark: TERM, KILL after two seconds. What made a session of
--- its own, or belongs to another user, is not reached. The mark arrives in halves, so that no process but
--- the command's has it whole.
local end_script = 'g=$(printf "%s" "$1$2" | grep -lzxF -f - /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3); '
  .. '[ -n "$g" ] || exit 0; for p in $g; do kill -s TERM -- "-$p"; done; n=0; '
  .. 'while [ "$n" -lt 20 ]; do for p in $g; do kill -s 0 -- "-$p" && break; done || exit 0; sleep 0.1; n=$((n+1)); done; '
  .. 'for p in $g; do kill -s KILL -- "-$p"; done'

---@param mark string
---@return string line
function remote.end_command(mark)
  local half = #mark // 2
  return ("exec /bin/sh -c %s sh %s 2>/dev/null"):format(
    remote.quote("{ " .. end_script .. "; } 2>/dev/null"),
    quoted { mark:sub(1, half), mark:sub(half + 1) }
  )
end

--- What the script said through its mark at the end of stderr, and stderr without it.
---@return string? word "255", "cwd" or "missing"
---@return string stderr
function remote.verdict(stderr, mark)
  local at, till, word = stderr:find(mark:gsub("%p", "%%%0") .. " (%w+)\r?\n")
  if not at then
    return nil, stderr
  end
  return word, stderr:sub(1, at - 1) .. stderr:sub(till + 1)
end

return remote
