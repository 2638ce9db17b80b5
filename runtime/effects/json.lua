--- JSON for playbooks: texts become values and values texts; no effect.
local function pure(verb, params, returns, help)
  return { class = "pure", module = "json", verb = verb, face = "library", params = params, returns = returns, help = help }
end

return {
  ["json.encode"] = pure("encode", { { "value", "any?" } }, "text", "a value as JSON, keys sorted; 64-bit integers stay exact"),
  ["json.decode"] = pure("decode", { { "text", "string" } }, "any", "the value of a JSON text; integers stay integers, null is json.null"),
  ["json.array"] = pure("array", { { "list", "table?" } }, "the list", "marks a list, so that an empty one becomes [] and not {}"),
  ["json.null"] = {
    class = "pure",
    module = "json",
    verb = "null",
    face = "value",
    params = {},
    returns = "null",
    help = "what JSON's null becomes: a value of its own, equal to itself only, and true in a condition",
  },
}
