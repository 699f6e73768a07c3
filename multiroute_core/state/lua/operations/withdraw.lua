-- Nobody knows whether this permit was given: its place and its probe are free again.
-- KEYS: the breakers of the quota's routes, the quota's places in flight.

local place = redis.call('ZREM', KEYS[2], asked.slot)
local before = read(redis.call('HGET', KEYS[1], asked.route))
if before and before.prober == asked.slot then
  before.probe_until, before.prober = nil, nil
  redis.call('HSET', KEYS[1], asked.route, cmsgpack.pack(before))
end
return place
