-- Adaptive concurrency limit: the Lua twin of resilience/adaptive_concurrency.py.

function adaptive_concurrency.new() return {calm_at = 0, answers = 0, most = 0} end

function adaptive_concurrency.admits(state, most, in_flight, reserve)
  local limit = most and state.limit and math.min(most, state.limit) or most or state.limit
  return not limit or in_flight + token_bucket.required(1, limit, reserve) <= limit
end

function adaptive_concurrency.answered(state, now, in_flight)
  if not state.limit or now < state.calm_at then return state end
  local answers, most = state.answers + 1, math.max(state.most, in_flight)
  local round = {limit = state.limit, calm_at = state.calm_at, answers = answers, most = most}
  if answers < state.limit then return round end
  round.answers, round.most = 0, 0
  if most >= math.floor(state.limit + 1 - token_bucket.required(1, state.limit, BATCH_RESERVE)) then
    round.limit = state.limit + math.max(1, GROWTH * state.limit)
  elseif most < UNUSED * state.limit and now >= state.calm_at + FORGET_SECONDS then
    round.limit = nil
  end
  return round
end

function adaptive_concurrency.limited(state, now, in_flight, retry_after)
  local after = {limit = state.limit, answers = 0, most = 0}
  if now < state.calm_at then
    after.calm_at = math.max(state.calm_at, now + (retry_after or 0))
    return after
  end
  after.calm_at = math.max(state.calm_at, now + math.max(EPISODE_SECONDS, retry_after or 0))
  if in_flight >= 2 then
    local held = state.limit and math.min(in_flight, state.limit) or in_flight
    after.limit = math.max(1, CUT * held)
  end
  return after
end
