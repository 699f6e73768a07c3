-- Circuit breaker: the Lua twin of resilience/circuit_breaker.py.

function circuit_breaker.new(generation, closed_at, breaks, half)
  return {
    generation = generation or 0,
    closed_at = closed_at or 0,
    breaks = breaks or 0,
    run = 0,
    half = half or 0,
    calls = 0,
    failed = 0,
    calls_before = 0,
    failed_before = 0,
  }
end

local function copy(state)
  local other = {}
  for name, value in pairs(state) do other[name] = value end
  return other
end

function circuit_breaker.condition(state, now)
  if not state.opened_until then return 'closed' end
  return now < state.opened_until and 'open' or 'half_open'
end

function circuit_breaker.shut(state, now, early)
  if not state.opened_until then return nil end
  if state.probe_until and now < state.probe_until then
    return {reason = 'probing', seconds = state.probe_until - now}
  end
  if now < state.opened_until and not early then return {reason = 'open', seconds = state.opened_until - now} end
end

-- Returns the state, and either a permit or a rejection.
function circuit_breaker.admit(state, settings, now, early)
  if not state.opened_until then return state, {generation = state.generation, probe = false} end
  local stop = circuit_breaker.shut(state, now, early)
  if stop then return state, nil, stop end
  local after = copy(state)
  after.generation, after.probe_until = state.generation + 1, now + settings.probe
  return after, {generation = after.generation, probe = true}
end

local function counted(state, settings, now, failed)
  local after, age, half = copy(state), now - state.half, settings.window / 2
  if age >= half then
    after.half, after.calls, after.failed, after.calls_before, after.failed_before = now, 0, 0, 0, 0
    if age < 2 * half then after.calls_before, after.failed_before = state.calls, state.failed end
  end
  after.run = failed and state.run + 1 or 0
  after.calls, after.failed = after.calls + 1, after.failed + (failed and 1 or 0)
  return after
end

local function opened(state, settings, now, verdict, random)
  local well = not state.opened_until and now - state.closed_at >= settings.forget
  local breaks = well and 0 or math.min(state.breaks, 64)
  local seconds = settings.permanent
  if verdict ~= 'permanent' then seconds = math.min(settings.longest, settings.seconds * 2 ^ breaks) end
  local after = circuit_breaker.new(state.generation + 1, state.closed_at, breaks + 1)
  after.opened_until = now + seconds * (0.75 + random / 2)
  return after
end

function circuit_breaker.settle(state, settings, now, permit, verdict, random)
  if permit.generation ~= state.generation then return state end
  if verdict == 'none' then
    if not permit.probe then return state end
    local after = copy(state)
    after.probe_until = nil
    return after
  end
  if permit.probe then
    if verdict == 'success' then return circuit_breaker.new(state.generation + 1, now, state.breaks, now) end
    return opened(state, settings, now, verdict, random)
  end
  local after = counted(state, settings, now, verdict ~= 'success')
  if verdict == 'success' then return after end
  local calls, failed = after.calls + after.calls_before, after.failed + after.failed_before
  local often = calls >= settings.calls and failed >= settings.ratio * calls
  if verdict == 'permanent' or after.run >= settings.failures or often then
    return opened(state, settings, now, verdict, random)
  end
  return after
end
