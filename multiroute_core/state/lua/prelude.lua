-- What every script begins with: what it is asked, the moment, and how it keeps and tells things.

local asked = cmsgpack.unpack(ARGV[1])

local function moment()
  if asked.now then return asked.now end -- a rehearsal has a clock of its own
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local function read(raw)
  if not raw then return nil end
  local ok, kept = pcall(cmsgpack.unpack, raw)
  if ok and type(kept) == 'table' then return kept end -- what cannot be read is forgotten
end

local function tell(answer) return cmsgpack.pack(answer) end

-- Nothing stays for ever.
local function expire(key, seconds) redis.call('PEXPIRE', key, string.format('%.0f', math.ceil(seconds * 1000))) end
