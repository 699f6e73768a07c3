-- Reserve a call's maximum spend on all of its accounts, or on none.
-- KEYS: for each claim its account, and the reservations on it.
-- A period starts when the clocks of Redis and of the caller agree on it: one of them may have jumped.

local now = moment()
local accounts, fresh, balances, refused = {}, {}, {}, nil
for number, claim in ipairs(asked.claims) do
  local kept, places = KEYS[2 * number - 1], KEYS[2 * number]
  local account = read(redis.call('GET', kept))
  if not account then
    if not claim.opened then fresh[#fresh + 1] = number - 1 end
    account = spend_account.new()
  end
  -- A killed process does not settle its reservations.
  for _, place in ipairs(redis.call('ZRANGEBYSCORE', places, '-inf', string.format('%.17g', now))) do
    account = spend_account.settle(account, tonumber(string.match(place, ':(%d+)$')), 0)
    redis.call('ZREM', places, place)
  end
  account = spend_account.current(account, claim.starts, math.min(now, asked.wall or now), claim.known)
  balances[number] = {account.period, account.spent, account.held}
  local after = spend_account.reserve(account, claim.cap, claim.amount)
  if not after and not refused then refused = number - 1 end
  accounts[number] = {account, after}
end

local granted = not refused and #fresh == 0
for number, claim in ipairs(asked.claims) do
  local kept, places = KEYS[2 * number - 1], KEYS[2 * number]
  if #fresh == 0 then
    redis.call('SET', kept, cmsgpack.pack(accounts[number][granted and 2 or 1]))
    expire(kept, claim.keep)
  elseif redis.call('EXISTS', kept) == 1 then -- remove expired reservations from the account as well
    redis.call('SET', kept, cmsgpack.pack(accounts[number][1]), 'KEEPTTL')
  end
  if granted then
    redis.call('ZADD', places, string.format('%.17g', now + asked.lease), asked.slot .. ':' .. string.format('%.0f', claim.amount))
    expire(places, asked.lease)
  end
end
return tell({rest = 0, balances = balances, refused = refused, fresh = #fresh > 0 and fresh or nil})
