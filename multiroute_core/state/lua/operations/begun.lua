-- Deposit the share of a new request for retries and hedges. KEYS: the retry budgets of the fleet.

local now = moment()
local purses = read(redis.call('GET', KEYS[1])) or {}
for name, settings in pairs(asked.purses) do
  purses[name] = retry_budget.deposit(purses[name] or retry_budget.new(), settings, now)
end
redis.call('SET', KEYS[1], cmsgpack.pack(purses))
expire(KEYS[1], asked.keep)
return 1
