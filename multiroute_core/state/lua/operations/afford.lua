-- Withdraw one attempt from every named retry budget, or from none. KEYS: the retry budgets of the fleet.

local now = moment()
local purses = read(redis.call('GET', KEYS[1])) or {}
for name, settings in pairs(asked.purses) do
  local enough
  purses[name], enough = retry_budget.withdraw(purses[name] or retry_budget.new(), settings, now)
  if not enough then return 0 end
end
redis.call('SET', KEYS[1], cmsgpack.pack(purses))
expire(KEYS[1], asked.keep)
return 1
