-- What stands in an account, as it is written; holds whose lease ran out are ended first.
-- KEYS[3] the account. ARGV: 3 how long ended holds are remembered, in ms.
local due = reap(MANY)
if due > 0 then
  begin_always()
  save(ARGV[3])
end
return {'ok', whole(counted), epoch or '', whole(now), defaults, redis.call('HGETALL', KEYS[3])}
