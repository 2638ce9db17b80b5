--- Logs of the environment: logs "app":scan { window = …, name = { … }, … }.
return {
  ["logs.scan"] = {
    class = "read",
    module = "logs",
    verb = "scan",
    face = "handle",
    params = { { "queries", "table" } },
    returns = "per name {count, groups, series, tail, …}, from, to, files, unread",
    help = "counts in one pass over large, rotated and compressed files",
  },
}
