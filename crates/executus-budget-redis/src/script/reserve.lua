
-- Holds what is asked on all accounts, or on none.
-- ARGV: 3 hold, 4 lease in ms, 5 how long ended holds are remembered, in ms, 6 accounts, one a
-- line, 7 what is asked, and four zeros for what is charged.
local remember = ARGV[5]
if not usable then
  if rolled_back then
    call('ZREM', LEASES, '')
    call('HSET', META, 'lost', 1)
  end
  return {'lost'}
end

if h.state == 'held' then
  -- Nothing more is held. ZREM of nobody comes first: it works without memory, and after it the
  -- rest does.
  call('ZREM', LEASES, '')
  call('ZADD', LEASES, now + ARGV[4], id)
  return save(remember)
end
if h.state ~= 'none' then
  if lapsed then save(remember) end
  return {h.state}
end

local m1, m2, m3, m4 = open(FOUR, ARGV[7])
local mine = string.find(ARGV[6], '\n', 1, true) and rare().split(ARGV[6]) or {ARGV[6]}
local tries = 0
repeat
  local refused
  tries = tries + 1
  for n = 1, #mine do
    local a = account(mine[n])
    local place = exceeded(a, m1, m2, m3, m4)
    if place then
      -- What the dead hold may be what is missing.
      if tries == 1 and #due == 2 * FEW and rare().reap_many() then
        refused = true
        break
      end
      local answer = rare().refusal(a, place, {m1, m2, m3, m4})
      if lapsed then save(remember) end
      return answer
    end
  end
until not refused

for n = 1, #mine do
  local a = account(mine[n])
  a[1], a[2] = min(a[1] + m1, MAX), min(a[2] + m2, MAX)
  a[3], a[4] = min(a[3] + m3, MAX), min(a[4] + m4, MAX)
  a.dirty = true
end
-- The first write is one that is refused without memory: then nothing is held.
call('HSET', HOLD, 'state', 'held', 'accounts', ARGV[6], 'sums', ARGV[7])
call('ZADD', LEASES, now + ARGV[4], id)
return save(remember)
