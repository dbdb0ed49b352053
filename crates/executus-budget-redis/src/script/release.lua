-- Ends a hold with what was charged; an unknown one leaves a tombstone.
-- ARGV: 3 hold, 4 how long ended holds are remembered, in ms.
local id, remember = ARGV[3], ARGV[4]

reap(FEW)
local h = this_hold(id)
if h.state == 'closed' then
  if #lapsed > 0 then
    begin_always()
    save(remember)
  end
  return {'closed'}
end
local counted = h.sum and lasting(h.sum) or {0, 0, 0, 0}
if h.state == 'held' then
  for _, name in ipairs(h.accounts) do
    local a = account(name)
    sub(a.held, h.held)
    count(a, counted, now)
    a.dirty = true
  end
end

begin_always()
redis.call('ZREM', LEASES, id)
redis.call('DEL', HOLD)
h.lapsed = true
h.state = 'closed'
local done = save(remember)
redis.call('HSET', HOLD, 'state', 'closed', 'counted', text(counted))
redis.call('PEXPIRE', HOLD, remember)
return {'ok', done, epoch or ''}
