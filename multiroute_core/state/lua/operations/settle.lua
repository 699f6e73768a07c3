-- Settle a permit with its outcome. KEYS: the group's rate limit state, its routes' breakers, its slots in flight.

local now = moment() - asked.age
local kept, breakers, places = KEYS[1], KEYS[2], KEYS[3]
local place = redis.call('ZSCORE', places, asked.slot)
if asked.again and not place then return tell({counted = false}) end -- the first one was executed

local held = place and tonumber(place) > now
redis.call('ZREM', places, asked.slot)
local others = redis.call('ZCOUNT', places, '(' .. string.format('%.17g', now), '+inf')

local ended, room = asked.ended, asked.ended.headroom
ended.in_flight = others + (held and 1 or 0)
ended.outcome = asked.limited and 'rate_limited' or asked.verdict == 'success' and 'success' or 'other'
if room then
  for _, level in pairs(room) do -- sent as seconds from now
    level.at, level.reset = now + level.at, now + level.reset
  end
end
local state = read(redis.call('GET', kept)) or rate_limits.new()
local left, changed = rate_limits.settle(state, asked.limits, now, ended)
if changed then
  redis.call('SET', kept, cmsgpack.pack(left))
  expire(kept, asked.keep + math.max(0, rate_limits.lasts(left, now)))
end

local before = read(redis.call('HGET', breakers, asked.route)) or circuit_breaker.new()
local after = circuit_breaker.settle(before, asked.breaker, now, asked.permit, asked.verdict, asked.random)
if after ~= before then redis.call('HSET', breakers, asked.route, cmsgpack.pack(after)) end

local openings -- for the log of the process
local function note(route, was, is)
  if not is.opened_until or is.opened_until == was.opened_until then return end
  openings = openings or {}
  openings[#openings + 1] = {route, is.opened_until - now, is.generation, not was.opened_until}
end
note(asked.route, before, after)
local closed = before.opened_until and not after.opened_until

if asked.shared then -- applies to every route of the group
  local seen = {[asked.route] = true}
  local function open(route)
    if seen[route] then return end
    seen[route] = true
    local other = read(redis.call('HGET', breakers, route)) or circuit_breaker.new()
    if circuit_breaker.shut(other, now) then return end -- otherwise its probe decides
    local leave = {generation = other.generation, probe = false}
    local opened = circuit_breaker.settle(other, asked.breaker, now, leave, asked.verdict, asked.random)
    if opened ~= other then redis.call('HSET', breakers, route, cmsgpack.pack(opened)) end
    note(route, other, opened)
  end
  for _, route in ipairs(asked.shared) do open(route) end
  for _, route in ipairs(redis.call('HKEYS', breakers)) do open(route) end
end
expire(breakers, asked.keep)
return tell({
  counted = asked.permit.generation == before.generation,
  opened = openings,
  generation = closed and after.generation or nil,
})
