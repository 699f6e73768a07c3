-- What is left of limit accounts. KEYS: for each claim its account, and the places of its calls in flight.

local now = moment()
local rows = {}
for number, claim in ipairs(asked.claims) do
  local state = read(redis.call('GET', KEYS[2 * number - 1])) or call_limits.new()
  rows[number] = {
    requests_left = call_limits.requests_left(state, claim.limits, now),
    tokens_left = call_limits.tokens_left(state, claim.limits, now),
    in_flight = redis.call('ZCOUNT', KEYS[2 * number], '(' .. string.format('%.17g', now), '+inf'),
  }
end
return tell({rows = rows})
