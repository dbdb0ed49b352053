-- What the scripts of caps begin with: one key, who is under way, and the last minute of it.
-- KEYS[1] rates, KEYS[2] permits, KEYS[3] the queue.
local RATES, PERMITS, QUEUE = KEYS[1], KEYS[2], KEYS[3]
local BUCKETS = 61
local floor, min, max, format = math.floor, math.min, math.max, string.format
local clock = redis.call('TIME')
local now = clock[1] * 1000 + floor(clock[2] / 1000)
local second = tonumber(clock[1])
local function whole(n) return format('%.0f', n) end
