-- Renews the leases of many holds, and ends those of the dead.
-- ARGV: 3 lease in ms, 4 how long ended holds are remembered, in ms, then the holds.
local lease, remember = tonumber(ARGV[3]), ARGV[4]
local renewed, over = {}, {}
for i = 5, #ARGV do
  local score = tonumber(redis.call('ZSCORE', LEASES, ARGV[i]))
  if score and score > now then
    renewed[#renewed + 1] = whole(now + lease)
    renewed[#renewed + 1] = ARGV[i]
  else
    over[#over + 1] = ARGV[i]
  end
end
reap(MANY)

begin_always()
if #renewed > 0 then redis.call('ZADD', LEASES, 'XX', unpack(renewed)) end
return {'ok', save(remember), epoch or '', over}
