-- Deposit the share of a new request for retries and hedges. KEYS: the retry budgets of the fleet.

local now = moment()
local budgets = read(redis.call('GET', KEYS[1])) or {}
for name, settings in pairs(asked.budgets) do
  budgets[name] = retry_budget.deposit(budgets[name] or retry_budget.new(), settings, now)
end
redis.call('SET', KEYS[1], cmsgpack.pack(budgets))
expire(KEYS[1], asked.keep)
return 1
