-- Limits of a caller's account: the Lua twin of resilience/call_limits.py. `settings` has rpm, tpm and concurrency.

function call_limits.new() return {requests = 0, tokens = 0, taken = 0} end

-- Returns the state and the refusal (with its seconds).
function call_limits.admit(state, settings, now, tokens, in_flight, reserve)
  local rpm, tpm, most, wait, longer = settings.rpm, settings.tpm, settings.concurrency, 0, 0
  local requests, left = state.requests, state.tokens
  if rpm then requests, wait = token_bucket.take(requests, rpm, 1, now, reserve) end
  if tpm then left, longer = token_bucket.take(left, tpm, tokens, now, reserve) end
  if longer > wait then return state, {limit = 'tpm', seconds = longer} end
  if wait > 0 then return state, {limit = 'rpm', seconds = wait} end
  if most and in_flight + token_bucket.required(1, most, reserve) > most then
    return state, {limit = 'concurrency', seconds = POLL_SECONDS}
  end
  return {requests = requests, tokens = left, taken = state.taken + (tpm and math.min(tokens, tpm) or 0)}
end

function call_limits.settle(state, settings, now, tokens, used, mark)
  local tpm = settings.tpm
  if not tpm or not used or used == tokens then return state end
  return {
    requests = state.requests,
    tokens = token_bucket.settle(state.tokens, tpm, tokens, used, now, math.max(0, state.taken - mark)),
    taken = state.taken + math.max(0, used - math.min(tokens, tpm)),
  }
end

function call_limits.lasts(state, now) return math.max(state.requests, state.tokens) - now end

function call_limits.requests_left(state, settings, now)
  return settings.rpm and token_bucket.left(state.requests, settings.rpm, now)
end

function call_limits.tokens_left(state, settings, now)
  return settings.tpm and token_bucket.left(state.tokens, settings.tpm, now)
end
