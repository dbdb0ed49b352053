-- Ends a hold with what was charged; an unknown one leaves a tombstone.
-- ARGV: 3 hold, 4 how long ended holds are remembered, in ms.
local id, remember = ARGV[3], ARGV[4]
local h = this_hold(id, 'l:')
if h.state == 'closed' then return answer({'closed'}, remember) end
if h.state == 'held' then
  local counted = {h[5], h[6], h[7]}
  for _, name in ipairs(h.accounts) do
    local a = account(name)
    let_go(a, h)
    count(a, counted, now)
  end
end

-- The first write is never refused, and after it nothing is.
call('ZREM', LEASES, id)
call('DEL', HOLD)
h.state = 'closed'
local number = save(remember)
call('HSET', HOLD, 'state', 'closed', 'counted', pack(FOUR, h[5], h[6], h[7], 0))
call('PEXPIRE', HOLD, remember)
return done(number)
