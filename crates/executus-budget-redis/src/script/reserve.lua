-- Holds what is asked on all accounts, or on none.
-- ARGV: 3 hold, 4 lease in ms, 5 how long ended holds are remembered, in ms, 6 accounts, one a
-- line, 7 what is asked.
local id, lease, remember, ask = ARGV[3], tonumber(ARGV[4]), ARGV[5], amounts(ARGV[7])
if not usable then
  if rolled_back then
    begin_always()
    redis.call('HSET', META, 'lost', 1)
  end
  return {'lost'}
end

local due = reap(FEW)
local h = this_hold(id)
if h.state == 'closed' or h.state == 'lapsed' then
  if #lapsed > 0 then
    begin_always()
    save(remember)
  end
  return {h.state}
end
if h.state == 'held' then
  begin_always()
  redis.call('ZADD', LEASES, whole(now + lease), id)
  return {'ok', save(remember), epoch}
end

local mine = {}
for _, name in ipairs(split(ARGV[6])) do mine[#mine + 1] = account(name) end
local function refuses()
  for _, a in ipairs(mine) do
    local at = exceeded(a, ask)
    if at then return a, at end
  end
end
local a, at = refuses()
if a and due == FEW then
  -- What the dead held may be what is missing.
  reap(MANY)
  a, at = refuses()
end
if a then
  local answer = refusal(a, at, ask)
  if #lapsed > 0 then
    begin_always()
    save(remember)
  end
  return answer
end

for _, a in ipairs(mine) do
  add(a.held, ask)
  a.dirty = true
end
-- The first write is one that is refused without memory: then nothing is held.
redis.call('HSET', HOLD, 'state', 'held', 'accounts', ARGV[6], 'held', text(ask), 'sum', '0,0,0,0')
redis.call('ZADD', LEASES, whole(now + lease), id)
return {'ok', save(remember), epoch}
