-- Retry budget: the Lua twin of resilience/retry_budget.py.

function retry_budget.new() return {left = 0} end

local function left(purse, settings, now)
  if not purse.at then return settings.reserve end
  if purse.left >= settings.reserve then return purse.left end
  return math.min(settings.reserve, purse.left + (now - purse.at) * settings.per_second)
end

function retry_budget.deposit(purse, settings, now)
  return {left = math.min(settings.most, left(purse, settings, now) + settings.share), at = now}
end

function retry_budget.withdraw(purse, settings, now)
  local there = left(purse, settings, now)
  if there < 1 then return {left = there, at = now}, false end
  return {left = there - 1, at = now}, true
end
