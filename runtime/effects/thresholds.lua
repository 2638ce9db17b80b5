--- Named thresholds, which environments may say otherwise: data, no effect.
return {
  ["thresholds.of"] = {
    class = "pure",
    module = "thresholds",
    verb = "of",
    face = "library",
    params = { { "name", "string" } },
    returns = "{above, below, between, change, expect, missing, unit}",
    help = "the limits of a named threshold, as the environment, the header or default.lua say",
  },
}
