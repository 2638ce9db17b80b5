--- Parse trees of statements, by PostgreSQL's own grammar. Pure, so remembered: wait_until asks the same again and again.
local KEPT = 256

--- The parser's error of a tree with more levels than the judge goes down.
local too_deep = { code = "54001", message = "the statement is nested too deeply to be judged", outcome = "not sent" }

---@param host table
---@return fun(text: string): table?, table? parse the tree, or nil and the parser's error
return function(host)
  local known, count = {}, 0
  return function(text)
    local entry = known[text]
    if not entry then
      local said, err = host.pgquery.parse(text)
      local tree = said and host.json.decode(said, { deep = true })
      entry = { tree = tree, err = not tree and (err or too_deep) or nil }
      if count >= KEPT then
        known, count = {}, 0
      end
      known[text], count = entry, count + 1
    end
    return entry.tree, entry.err
  end
end
