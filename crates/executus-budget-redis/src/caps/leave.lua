-- Gives a permit back, or leaves the queue; once, however often it is asked.
-- ARGV: 1 id, 2 the second of the grant, 3 the estimate, 4 what was used, '' where not known.
local id, granted = ARGV[1], tonumber(ARGV[2])
local correction = ARGV[4] ~= '' and tonumber(ARGV[4]) - tonumber(ARGV[3]) or 0
local at = tonumber(redis.call('HGET', RATES, 'at')) or second
local f = {0, 0}
if correction ~= 0 and granted >= at - BUCKETS + 1 then
  f = redis.call('HMGET', RATES, 't:' .. ARGV[2], 't')
else
  correction = 0
end
local bucket, sum = tonumber(f[1]) or 0, tonumber(f[2]) or 0
correction = max(correction, -bucket)

-- From here on only writes; the first is never refused, also without memory.
local had = redis.call('ZREM', PERMITS, id)
redis.call('ZREM', QUEUE, id)
redis.call('HDEL', RATES, 'w:' .. id)
if had == 1 and correction ~= 0 then
  redis.call('HSET', RATES, 't:' .. ARGV[2], whole(bucket + correction), 't', whole(max(sum + correction, 0)))
end
return {'ok', '0'}
