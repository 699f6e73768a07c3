-- The health of a route. KEYS: the group's rate limit state, its routes' breakers, its slots in flight.

local now = moment()
local state = read(redis.call('GET', KEYS[1])) or rate_limits.new()
local route = read(redis.call('HGET', KEYS[2], asked.route)) or circuit_breaker.new()
local _, closed = rate_limits.admit(state, asked.limits, now, 0, 0, 0)
local open = circuit_breaker.shut(route, now)
local limit, most = state.concurrency.limit, asked.limits.max_concurrency
return tell({
  breaker = circuit_breaker.condition(route, now),
  retry_in = math.max(closed and closed.seconds or 0, open and open.seconds or 0),
  in_flight = redis.call('ZCOUNT', KEYS[3], '(' .. string.format('%.17g', now), '+inf'),
  limit = limit and most and math.min(limit, most) or limit or most,
  requests_left = rate_limits.requests_left(state, asked.limits, now),
  tokens_left = rate_limits.tokens_left(state, asked.limits, now),
  blocked = closed and closed.reason,
})
