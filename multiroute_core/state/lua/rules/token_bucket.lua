-- Token bucket (GCRA): the Lua twin of resilience/token_bucket.py.

function token_bucket.required(amount, limit, reserve)
  return math.min(reserve > 0 and amount + math.max(amount, reserve * limit) or amount, limit)
end

function token_bucket.take(tat, per_minute, amount, now, reserve)
  local start = math.max(tat, now)
  local due = start + math.min(amount, per_minute) * SECONDS / per_minute
  local wait = start + token_bucket.required(amount, per_minute, reserve) * SECONDS / per_minute - now - SECONDS
  if wait > GRACE then return tat, wait end
  return due, 0
end

function token_bucket.settle(tat, per_minute, reserved, used, now, since)
  local more = (used - math.min(reserved, per_minute)) * SECONDS / per_minute
  if more >= 0 then return tat + more end
  return math.max(tat + more, math.min(tat, now + since * SECONDS / per_minute))
end

function token_bucket.left(tat, per_minute, now)
  return math.max(0, SECONDS - math.max(0, tat - now)) * per_minute / SECONDS
end
