-- Admission: a permit or a rejection. KEYS: the group's rate limit state, its routes' breakers, its slots in flight.

local now = moment()
local kept, breakers, places = KEYS[1], KEYS[2], KEYS[3]
local state = read(redis.call('GET', kept)) or rate_limits.new()
redis.call('ZREMRANGEBYSCORE', places, '-inf', string.format('%.17g', now)) -- an abandoned call may never settle
local in_flight = redis.call('ZCARD', places)

local left, shut, changed = rate_limits.admit(state, asked.limits, now, asked.tokens, in_flight, asked.reserve)
if shut then return tell(shut) end

local before = read(redis.call('HGET', breakers, asked.route)) or circuit_breaker.new()
local after, permit, stop = circuit_breaker.admit(before, asked.breaker, now, asked.early)
if stop then return tell(stop) end

if permit.probe then
  after.prober = asked.slot
  redis.call('HSET', breakers, asked.route, cmsgpack.pack(after))
  expire(breakers, asked.keep)
end
if changed then
  redis.call('SET', kept, cmsgpack.pack(left))
  expire(kept, asked.keep + math.max(0, rate_limits.lasts(left, now)))
end
redis.call('ZADD', places, string.format('%.17g', now + asked.lease), asked.slot)
expire(places, asked.lease)
return tell({generation = permit.generation, probe = permit.probe, mark = left.taken})
