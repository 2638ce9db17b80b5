--- One question at a time: who asks a person on the terminal takes the turn, and gives it back.
local turn = {}

local taken = false

--- Waits until nobody asks, then takes the turn.
---@param sleep fun(seconds: number): any, any
---@param still fun(...) called after each wait with what sleep returned; raises when it makes no sense to ask any more
function turn.take(sleep, still)
  while taken do
    still(sleep(0.02))
  end
  taken = true
end

--- Gives it back.
function turn.give()
  taken = false
end

return turn
