
-- Ends a hold with what was charged; an unknown one leaves a tombstone.
-- ARGV: 3 hold, 4 how long ended holds are remembered, in ms.
local remember = ARGV[4]
if h.state == 'closed' then
  if lapsed then save(remember) end
  return {'closed'}
end
if h.state == 'held' then count({h[5], h[6], h[7]}) end

-- The first write is never refused, and after it nothing is.
call('ZREM', LEASES, id)
call('DEL', HOLD)
h.state = 'closed'
call('HSET', HOLD, 'state', 'closed', 'counted', pack(FOUR, h[5] or 0, h[6] or 0, h[7] or 0, 0))
call('PEXPIRE', HOLD, remember)
return save(remember)
