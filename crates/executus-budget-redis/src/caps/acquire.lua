-- Grants a permit, lets wait, or refuses. Asking again under the same id is the same permit.
-- KEYS[4] limits. ARGV: 1 id, 2 tokens, 3 lease in ms, 4 '1' to wait, 5 the default limits, 6 the
-- name of the key, 7 how many may wait, 8 after how long without a word a waiter is gone, in ms.
local id, tokens, lease, waits = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'

local granted = tonumber(redis.call('ZSCORE', PERMITS, id))
if granted then return {'ok', whole(floor((granted - lease) / 1000))} end

local limits = redis.call('HGET', KEYS[4], ARGV[6]) or ARGV[5]
local a, r, t = string.match(limits, '^([^,]+),([^,]+),([^,]+)$')
local at_once, requests, per_minute = tonumber(a), tonumber(r), tonumber(t)

-- The sums of the minute, moved on to now.
local f = redis.call('HMGET', RATES, 'at', 'r', 't')
local at, sum_r, sum_t = tonumber(f[1]) or second, tonumber(f[2]) or 0, tonumber(f[3]) or 0
local gone = {}
if second > at then
  local last = min(second - BUCKETS, at)
  for s = max(at - BUCKETS + 1, 0), last do
    gone[#gone + 1] = 'r:' .. s
    gone[#gone + 1] = 't:' .. s
  end
  if #gone > 0 then
    local old = redis.call('HMGET', RATES, unpack(gone))
    for i = 1, #old, 2 do
      sum_r = sum_r - (tonumber(old[i]) or 0)
      sum_t = sum_t - (tonumber(old[i + 1]) or 0)
    end
  end
  at = second
end

-- When enough of the minute will have left it.
local function again(kind, over)
  local names = {}
  for s = at - BUCKETS + 1, at do names[#names + 1] = kind .. s end
  local freed = 0
  for i, n in ipairs(redis.call('HMGET', RATES, unpack(names))) do
    freed = freed + (tonumber(n) or 0)
    if freed >= over then return whole((at - BUCKETS + i + BUCKETS) * 1000) end
  end
  return ''
end

-- Waiters that were not heard of for long are gone: those at the head are who matters.
local silent, dead = tonumber(ARGV[8]), {}
local head
for _, waiter in ipairs(redis.call('ZRANGE', QUEUE, 0, 15)) do
  local seen = tonumber(redis.call('HGET', RATES, 'w:' .. waiter))
  if waiter == id or (seen and now - seen <= silent) then
    head = waiter
    break
  end
  dead[#dead + 1] = waiter
end
local waiting = redis.call('ZCARD', QUEUE) - #dead
local under_way = redis.call('ZCOUNT', PERMITS, '(' .. whole(now), '+inf')

local cap, limit, when, never = nil, 0, '', false
if (head and head ~= id) or (not head and waiting > 0) then
  cap, limit = 'queue', waiting
elseif at_once and under_way >= at_once then
  cap, limit, never = 'at_once', at_once, at_once == 0
elseif requests and sum_r + 1 > requests then
  cap, limit, never = 'requests', requests, 1 > requests
  if not never then when = again('r:', sum_r + 1 - requests) end
elseif per_minute and sum_t + tokens > per_minute then
  cap, limit, never = 'tokens', per_minute, tokens > per_minute
  if not never then when = again('t:', sum_t + tokens - per_minute) end
end
local queued = redis.call('ZSCORE', QUEUE, id)
if cap and waits and not never and not queued and waiting >= tonumber(ARGV[7]) then
  cap, limit, waits = 'queue', waiting, false
end
local day = 86400000

-- From here on only writes.
redis.call('ZREMRANGEBYSCORE', PERMITS, '-inf', whole(now))
for _, waiter in ipairs(dead) do
  redis.call('ZREM', QUEUE, waiter)
  redis.call('HDEL', RATES, 'w:' .. waiter)
end
if cap and (never or not waits) then
  redis.call('ZREM', QUEUE, id)
  redis.call('HDEL', RATES, 'w:' .. id)
  return {'full', cap, whole(limit), when}
end
if cap then
  if not queued then
    redis.call('ZADD', QUEUE, redis.call('HINCRBY', RATES, 'turn', 1), id)
    redis.call('PEXPIRE', QUEUE, day)
  end
  redis.call('HSET', RATES, 'w:' .. id, whole(now))
  redis.call('PEXPIRE', RATES, day)
  return {'wait', cap, whole(limit), when, redis.call('ZRANK', QUEUE, id)}
end
redis.call('ZADD', PERMITS, whole(now + lease), id)
redis.call('ZREM', QUEUE, id)
redis.call('HDEL', RATES, 'w:' .. id, unpack(gone))
redis.call('HINCRBY', RATES, 'r:' .. second, 1)
if tokens > 0 then redis.call('HINCRBY', RATES, 't:' .. second, whole(tokens)) end
redis.call('HSET', RATES, 'at', at, 'r', whole(sum_r + 1), 't', whole(sum_t + tokens))
redis.call('PEXPIRE', PERMITS, day)
redis.call('PEXPIRE', RATES, day)
return {'ok', whole(second)}
