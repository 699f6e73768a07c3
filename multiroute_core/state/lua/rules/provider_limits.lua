-- Remaining limits reported by provider headers: the Lua twin of resilience/provider_limits.py.

local function upto(level) return math.min(level.reset, level.at + TRUSTED_SECONDS) end

local function rate(level) return (level.limit - level.remaining) / (level.reset - level.at) end

local function held(level, now) return level.remaining + rate(level) * math.max(0, now - level.at) - level.spent end

local function wait_for(level, amount, now, reserve)
  if not level or now >= upto(level) then return 0 end
  local short = token_bucket.required(amount, level.limit, reserve) - held(level, now)
  if short <= 0 then return 0 end
  local refill = rate(level)
  if refill > 0 then return math.min(short / refill, upto(level) - now) end
  return upto(level) - now
end

local function lowered(level, spent)
  if not level then return nil end
  return {remaining = level.remaining, limit = level.limit, reset = level.reset, at = level.at, spent = spent}
end

local function spend(level, amount) return level and lowered(level, level.spent + amount) end

local function newer(known, told, now)
  if not known or not told then return known or told end
  if told.at < known.at then return known end
  local late = now > known.at and (now - told.at) / (now - known.at) or 0
  if late > 0 then return lowered(told, known.spent * late) end
  return told
end

local function left(level, now)
  if not level or now >= upto(level) then return nil end
  return math.max(0, held(level, now))
end

function provider_limits.take(room, now, tokens, reserve)
  local wait = math.max(
    wait_for(room.requests, 1, now, reserve),
    wait_for(room.tokens, tokens, now, reserve),
    wait_for(room.input_tokens, tokens, now, reserve),
    wait_for(room.output_tokens, 1, now, reserve)
  )
  if wait > GRACE then return room, wait end
  return provider_limits.spend(room, 1, tokens), 0
end

function provider_limits.spend(room, requests, tokens)
  return {
    requests = spend(room.requests, requests),
    tokens = spend(room.tokens, tokens),
    input_tokens = spend(room.input_tokens, tokens),
    output_tokens = room.output_tokens,
  }
end

function provider_limits.learn(room, told, now)
  if not room then return told end
  return {
    requests = newer(room.requests, told.requests, now),
    tokens = newer(room.tokens, told.tokens, now),
    input_tokens = newer(room.input_tokens, told.input_tokens, now),
    output_tokens = newer(room.output_tokens, told.output_tokens, now),
  }
end

function provider_limits.requests_left(room, now) return left(room.requests, now) end

function provider_limits.tokens_left(room, now)
  local output = left(room.output_tokens, now)
  if output and output < 1 then return 0 end
  local tokens, input = left(room.tokens, now), left(room.input_tokens, now)
  if tokens and input then return math.min(tokens, input) end
  return tokens or input
end
