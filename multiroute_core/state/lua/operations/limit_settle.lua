-- Settle a call: free its places and correct the tokens that it reserved. Without a place it is settled already.
-- KEYS: for each claim its account, and the places of its calls in flight.

local now = moment() - asked.age
for number, claim in ipairs(asked.claims) do
  local kept, places = KEYS[2 * number - 1], KEYS[2 * number]
  if redis.call('ZREM', places, asked.slot) == 1 then
    local state = read(redis.call('GET', kept))
    local after = state and call_limits.settle(state, claim.limits, now, claim.tokens, asked.used, claim.mark)
    if state and after ~= state then
      redis.call('SET', kept, cmsgpack.pack(after))
      expire(kept, asked.lease + math.max(0, call_limits.lasts(after, now)))
    end
  end
end
return 1
