-- Holds what is asked on all accounts, or on none.
-- ARGV: 3 hold, 4 lease in ms, 5 how long ended holds are remembered, in ms, 6 accounts, one a
-- line, 7 what is asked, and four zeros for what is charged.
local id, remember = ARGV[3], ARGV[5]
if not usable then
  if rolled_back then
    call('ZREM', LEASES, '')
    call('HSET', META, 'lost', 1)
  end
  return {'lost'}
end

local h = this_hold(id, 'l:')
if h.state == 'held' then
  -- Nothing more is held. ZREM of nobody comes first: it works without memory, and after it the
  -- rest does.
  call('ZREM', LEASES, '')
  call('ZADD', LEASES, now + ARGV[4], id)
  return done(save(remember))
end
if h.state ~= 'none' then return answer({h.state}, remember) end

local ask = {open(TWICE, ARGV[7])}
local mine
if string.find(ARGV[6], '\n', 1, true) then
  mine = rare().split(ARGV[6])
else
  mine = {ARGV[6]}
end
for n = 1, #mine do mine[n] = account(mine[n]) end
local function refuses()
  for n = 1, #mine do
    local at = exceeded(mine[n], ask)
    if at then return mine[n], at end
  end
end
local a, at = refuses()
-- What the dead hold may be what is missing.
if a and #due == 2 * FEW and rare().reap_many() then a, at = refuses() end
if a then return answer(rare().refusal(a, at, ask), remember) end

for n = 1, #mine do hold(mine[n], ask) end
-- The first write is one that is refused without memory: then nothing is held.
call('HSET', HOLD, 'state', 'held', 'accounts', ARGV[6], 'sums', ARGV[7])
call('ZADD', LEASES, now + ARGV[4], id)
return done(save(remember))
