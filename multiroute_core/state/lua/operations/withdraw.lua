-- Withdraw a permit whose reply may be lost: free its slot and its probe.
-- KEYS: the breakers of the group's routes, the group's slots in flight.

local place = redis.call('ZREM', KEYS[2], asked.slot)
local before = read(redis.call('HGET', KEYS[1], asked.route))
if before and before.prober == asked.slot then
  before.probe_until, before.prober = nil, nil
  redis.call('HSET', KEYS[1], asked.route, cmsgpack.pack(before))
end
return place
