-- Settle a call: release its reservations and add what it spent.
-- KEYS: for each claim its account, and the reservations on it.

local now = moment()
local balances = {}
for number, claim in ipairs(asked.claims) do
  local kept, places = KEYS[2 * number - 1], KEYS[2 * number]
  local there = read(redis.call('GET', kept))
  local account = spend_account.current(there or spend_account.new(), claim.starts, math.min(now, asked.wall or now), claim.known)
  local held = redis.call('ZREM', places, asked.slot .. ':' .. string.format('%.0f', claim.amount)) == 1
  local before = account.spent
  if not there then -- lost: the caller must reopen it with the amount known elsewhere
    account.period = -1
  elseif held or not asked.again then -- otherwise the first one was executed
    account = spend_account.settle(account, held and claim.amount or 0, claim.took)
    redis.call('SET', kept, cmsgpack.pack(account))
    expire(kept, claim.keep)
  end
  balances[number] = {account.period, account.spent, account.held, before}
end
return tell({rest = 0, balances = balances})
