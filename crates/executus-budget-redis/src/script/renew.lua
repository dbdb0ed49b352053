
-- Renews the leases of many holds, and ends those of the dead.
-- ARGV: 3 lease in ms, 4 how long ended holds are remembered, in ms, then the holds.
local renewed, over = {}, {}
for n = 5, #ARGV do
  local lease = tonumber(call('ZSCORE', LEASES, ARGV[n]))
  if lease and lease > now then
    renewed[#renewed + 1] = now + ARGV[3]
    renewed[#renewed + 1] = ARGV[n]
  else
    over[#over + 1] = ARGV[n]
  end
end
if due[1] then rare().reap_many() end

-- It works without memory: the first write is never refused, and after it nothing is.
call('ZREM', LEASES, '')
if #renewed > 0 then call('ZADD', LEASES, 'XX', unpack(renewed)) end
return {'ok', save(ARGV[4])[2], epoch or '', over}
