-- Retry budget: the Lua twin of resilience/retry_budget.py.

function retry_budget.new() return {left = 0} end

local function left(budget, settings, now)
  if not budget.at then return settings.reserve end
  if budget.left >= settings.reserve then return budget.left end
  return math.min(settings.reserve, budget.left + (now - budget.at) * settings.per_second)
end

function retry_budget.deposit(budget, settings, now)
  return {left = math.min(settings.most, left(budget, settings, now) + settings.share), at = now}
end

function retry_budget.withdraw(budget, settings, now)
  local there = left(budget, settings, now)
  if there < 1 then return {left = there, at = now}, false end
  return {left = there - 1, at = now}, true
end
