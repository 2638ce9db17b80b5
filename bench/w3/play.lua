--- Counts the keys that never expire.
playbook { title = "Keys without TTL" }

step("Count", function()
  local count = 0
  for _, ttl in redis "cache":scan { with = "ttl" } do
    if ttl == -1 then count = count + 1 end
  end
  note("answer: %d never expire", count)
end)
