-- Admit a call on all of its limit accounts, or on none.
-- KEYS: for each claim its account, and the places of its calls in flight.

local now = moment()
local states, refusals, refused = {}, {}, false
for number, claim in ipairs(asked.claims) do
  local kept, places = KEYS[2 * number - 1], KEYS[2 * number]
  redis.call('ZREMRANGEBYSCORE', places, '-inf', string.format('%.17g', now)) -- a killed process does not settle
  local state = read(redis.call('GET', kept)) or call_limits.new()
  local after, refusal = call_limits.admit(
    state, claim.limits, now, claim.tokens, redis.call('ZCARD', places), asked.reserve
  )
  states[number] = after
  if refusal then
    refused = true
    refusals[#refusals + 1] = {number - 1, refusal.limit, refusal.seconds}
  end
end
if refused then return tell({refusals = refusals}) end

local marks = {}
for number in ipairs(asked.claims) do
  local kept, places, state = KEYS[2 * number - 1], KEYS[2 * number], states[number]
  redis.call('SET', kept, cmsgpack.pack(state))
  -- Until the last call in flight may settle: a settlement must know what was taken after its admission.
  expire(kept, asked.lease + math.max(0, call_limits.lasts(state, now)))
  redis.call('ZADD', places, string.format('%.17g', now + asked.lease), asked.slot)
  expire(places, asked.lease)
  marks[number] = state.taken
end
return tell({marks = marks})
