-- Spend account: the Lua twin of resilience/spend_account.py.

function spend_account.new() return {period = 0, spent = 0, held = 0} end

function spend_account.current(account, starts, now, known)
  local start = starts[1]
  for place = 2, #starts do
    if starts[place] <= now then start = starts[place] end
  end
  start = math.max(start, account.period) -- a clock that is set back does not restart a period
  local spent = account.period == start and account.spent or 0
  if known and known[1] == start and known[2] > spent then spent = known[2] end
  return {period = start, spent = spent, held = account.held}
end

function spend_account.reserve(account, cap, amount)
  if cap and account.spent + account.held + amount > cap then return nil end
  return {period = account.period, spent = account.spent, held = account.held + amount}
end

function spend_account.settle(account, held, amount)
  return {period = account.period, spent = account.spent + amount, held = math.max(0, account.held - held)}
end
