-- Rate limits and cooldown: the Lua twin of resilience/rate_limits.py. `settings` has rpm, tpm and max_concurrency.

function rate_limits.new()
  return {cooldown_until = 0, requests = 0, tokens = 0, taken = 0, concurrency = adaptive_concurrency.new()}
end

-- Returns the state, the rejection (with its seconds), and whether the state has changed.
function rate_limits.admit(state, settings, now, tokens, in_flight, reserve)
  if now < state.cooldown_until then return state, {reason = 'rate_limit', seconds = state.cooldown_until - now} end
  local rpm, tpm, room, wait, longer = settings.rpm, settings.tpm, state.headroom, 0, 0
  if room then
    room, wait = provider_limits.take(room, now, tokens, reserve)
    if wait > 0 then return state, {reason = 'rate_limit', seconds = wait} end
  end
  local requests, left = state.requests, state.tokens
  if rpm then requests, wait = token_bucket.take(requests, rpm, 1, now, reserve) end
  if tpm then left, longer = token_bucket.take(left, tpm, tokens, now, reserve) end
  if wait > 0 or longer > 0 then return state, {reason = 'limit', seconds = math.max(wait, longer)} end
  if not adaptive_concurrency.admits(state.concurrency, settings.max_concurrency, in_flight, reserve) then
    return state, {reason = 'busy', seconds = POLL_SECONDS}
  end
  if not room and not rpm and not tpm then return state end
  local after = {
    cooldown_until = state.cooldown_until,
    requests = requests,
    tokens = left,
    taken = state.taken + (tpm and math.min(tokens, tpm) or 0),
    concurrency = state.concurrency,
    headroom = room,
  }
  return after, nil, true
end

local function least(one, other)
  if one and other then return math.min(one, other) end
  return one or other
end

function rate_limits.requests_left(state, settings, now)
  local room = state.headroom
  return least(
    settings.rpm and token_bucket.left(state.requests, settings.rpm, now),
    room and provider_limits.requests_left(room, now)
  )
end

function rate_limits.tokens_left(state, settings, now)
  local room = state.headroom
  return least(settings.tpm and token_bucket.left(state.tokens, settings.tpm, now), room and provider_limits.tokens_left(room, now))
end

-- `ended` has tokens, used, mark, outcome, retry_after, headroom and in_flight. Returns the state, and whether it has changed.
function rate_limits.settle(state, settings, now, ended)
  local left, taken, flight, retry_after = state.tokens, state.taken, state.concurrency, ended.retry_after
  if settings.tpm and ended.used and ended.used ~= ended.tokens then
    left = token_bucket.settle(left, settings.tpm, ended.tokens, ended.used, now, taken - ended.mark)
    taken = taken + math.max(0, ended.used - math.min(ended.tokens, settings.tpm))
  end
  if ended.outcome == 'success' then
    flight = adaptive_concurrency.answered(flight, now, ended.in_flight)
  elseif ended.outcome == 'rate_limited' then
    flight = adaptive_concurrency.limited(flight, now, ended.in_flight, retry_after)
  end
  if not retry_after and not ended.headroom and left == state.tokens and flight == state.concurrency then
    return state, false
  end
  local after = {
    cooldown_until = retry_after and math.max(state.cooldown_until, now + retry_after) or state.cooldown_until,
    requests = state.requests,
    tokens = left,
    taken = taken,
    concurrency = flight,
    headroom = state.headroom,
  }
  if ended.headroom then after.headroom = provider_limits.learn(state.headroom, ended.headroom, now) end
  return after, true
end

-- How long the state carries information, in seconds.
function rate_limits.lasts(state, now)
  return math.max(state.cooldown_until, state.requests, state.tokens, state.concurrency.calm_at) - now
end
