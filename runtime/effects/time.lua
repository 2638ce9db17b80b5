--- Time: what it is, what passes, what is left of it; texts and windows, which are no effects.
local function pure(verb, params, returns, help)
  return { class = "pure", module = "time", verb = verb, face = "library", params = params, returns = returns, help = help }
end

return {
  ["sleep"] = {
    class = "read",
    module = "time",
    verb = "sleep",
    waits = true,
    inner = true,
    face = "global",
    params = { { "duration", "duration" } },
    returns = "nothing",
    help = "waits; in a dry run only the clock of now() moves",
  },
  ["now"] = {
    class = "read",
    module = "time",
    verb = "now",
    inner = true,
    face = "global",
    params = {},
    returns = "time",
    help = "the time, recorded, so that a resumed run sees the same one",
  },
  ["time.left"] = {
    class = "read",
    module = "time",
    verb = "left",
    inner = true,
    face = "library",
    params = {},
    returns = "duration, or nil",
    help = "until the step's timeout or the run's --deadline, whichever comes first; nil when there is neither",
  },
  ["time.parse"] = pure(
    "parse",
    { { "text", "string|number" }, { "zone", "string?" } },
    "time",
    "a time from text or from seconds since 1970, in the environment's zone unless told another"
  ),
  ["time.within"] = pure(
    "within",
    { { "time", "table|number" }, { "window", "table|string" } },
    "boolean",
    'is it in a window, or in hours such as "22:00..06:00", "Mon..Fri 09:00..17:00"? The end is not in it'
  ),
  ["time.window"] = pure(
    "window",
    { { "from", "table" }, { "to", "table" }, { "label", "string?" } },
    "window",
    "a window of two times"
  ),
}
