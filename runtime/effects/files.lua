--- Files and directories: files.list, files.remove … Looks need no entry in uses; what may be changed is
--- below the header's uses.files or a parameter of type path.
local what = { { "what", "string|table" }, { "opts", "options?" } }
local path = { { "path", "string" }, { "opts", "options?" } }
local text = { { "path", "string" }, { "text", "any" }, { "opts", "options?" } }
local by_size = { "pattern", "older_than", "limit" }
local changed = "{count, size, freed, items, left}"

local function row(class, verb, params, options, returns, help)
  return {
    class = class,
    module = "files",
    verb = verb,
    face = "library",
    params = params,
    options = options,
    returns = returns,
    help = help,
  }
end

local filter = { "pattern", "recursive", "older_than", "newer_than", "larger_than", "open", "sort", "limit", "any_type" }

return {
  ["files.list"] = row("read", "list", path, filter, "entries .count .size .unread", "lists what a directory holds"),
  ["files.stat"] = row("read", "stat", path, {}, "entry?", "what a path is: type, size, age; nil when nothing is there"),
  ["files.read"] = row("read", "read", path, { "cap" }, "text", "the text of a file"),
  ["files.tail"] = row("read", "tail", path, { "lines", "cap" }, "lines", "the last lines of a file"),
  ["files.checksum"] = row("read", "checksum", path, {}, "string", "the SHA-256 of a file, as hexadecimal digits"),
  ["files.filesystems"] = row("read", "filesystems", { path[2] }, {}, "rows", "the file systems and what is left of them"),
  ["files.largest"] = row("read", "largest", path, by_size, "entries .directories", "the largest files below it"),
  ["files.open"] = row("read", "open", path, {}, "rows .unseen", "who holds something open"),
  ["files.write"] = row("change", "write", text, { "mode", "create" }, changed, "writes a file whole, in place of the old one"),
  ["files.append"] = row("change", "append", text, {}, changed, "appends to a file"),
  ["files.remove"] = row("change", "remove", what, { "recursive" }, changed, "removes files; with recursive = true directories too"),
  ["files.compress"] = row("change", "compress", what, { "keep", "level", "open" }, changed, "compresses files to NAME.gz"),
  ["files.truncate"] = row("change", "truncate", what, { "to" }, changed, "cuts files to a size, 0 unless said so"),
  ["files.touch"] = row("change", "touch", what, {}, changed, "sets the time of the last write to now"),
  ["files.mkdir"] = row("change", "mkdir", path, { "mode", "parents" }, changed, "makes a directory; already there is no failure"),
}
