-- A probe received its first token: the breaker closes. KEYS: the breakers of the group's routes.

local now = moment()
local before = read(redis.call('HGET', KEYS[1], asked.route)) or circuit_breaker.new()
local after = circuit_breaker.settle(before, asked.breaker, now, asked.permit, 'success', asked.random)
if after ~= before then
  redis.call('HSET', KEYS[1], asked.route, cmsgpack.pack(after))
  expire(KEYS[1], asked.keep)
end
return tell({
  generation = after.generation,
  closed = before.opened_until ~= nil and not after.opened_until,
})
