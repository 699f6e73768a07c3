-- A call is over: what was held for it is free, and what it took is spent.
-- KEYS: of each claim its account, and the places of what is held on it.

local now = moment()
local balances = {}
for number, claim in ipairs(asked.claims) do
  local kept, places = KEYS[2 * number - 1], KEYS[2 * number]
  local there = read(redis.call('GET', kept))
  local account = spend_account.current(there or spend_account.new(), claim.starts, math.min(now, asked.wall or now), claim.known)
  local held = redis.call('ZREM', places, asked.slot .. ':' .. string.format('%.0f', claim.amount)) == 1
  local before = account.spent
  if not there then -- it was lost: to be opened anew by what is known elsewhere
    account.period = -1
  elseif held or not asked.again then -- or else it came the first time
    account = spend_account.settle(account, held and claim.amount or 0, claim.took)
    redis.call('SET', kept, cmsgpack.pack(account))
    expire(kept, claim.keep)
  end
  balances[number] = {account.period, account.spent, account.held, before}
end
return tell({rest = 0, balances = balances})
