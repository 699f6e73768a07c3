-- Withdraw one attempt from every named retry budget, or from none. KEYS: the retry budgets of the fleet.

local now = moment()
local budgets = read(redis.call('GET', KEYS[1])) or {}
for name, settings in pairs(asked.budgets) do
  local enough
  budgets[name], enough = retry_budget.withdraw(budgets[name] or retry_budget.new(), settings, now)
  if not enough then return 0 end
end
redis.call('SET', KEYS[1], cmsgpack.pack(budgets))
expire(KEYS[1], asked.keep)
return 1
