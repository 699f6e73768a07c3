-- The prelude of every script: its arguments, the current time, and helpers to read, encode and expire values.

local asked = cmsgpack.unpack(ARGV[1])

local function moment()
  if asked.now then return asked.now end -- tests may set the clock
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local function read(raw)
  if not raw then return nil end
  local ok, kept = pcall(cmsgpack.unpack, raw)
  if ok and type(kept) == 'table' then return kept end -- unreadable values are dropped
end

local function tell(answer) return cmsgpack.pack(answer) end

-- Every key expires.
local function expire(key, seconds) redis.call('PEXPIRE', key, string.format('%.0f', math.ceil(seconds * 1000))) end
