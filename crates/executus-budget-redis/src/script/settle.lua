-- Ends a hold and counts what was spent; what is above what was held is an overrun.
-- ARGV: 3 hold, 4 how long ended holds are remembered, in ms, 5 the hold's own line, 6 what it
-- spent, 7 the accounts, one a line, where the caller knows them: '-' and the list.
local id, remember, own, spent = ARGV[3], ARGV[4], 'l:' .. ARGV[5], amounts(ARGV[6])

reap(FEW)
local h = this_hold(id)
local counted = {0, 0, 0, 0}
if h.state == 'held' or h.state == 'lapsed' then
  local line = amounts(redis.call('HGET', HOLD, own))
  counted = {h.sum[1], h.sum[2], h.sum[3], h.sum[4]}
  sub(counted, line)
  for i = 1, 4 do line[i] = max(line[i], spent[i]) end
  add(counted, line)
  counted = lasting(counted)
  if h.state == 'held' then
    local over = lasting(counted)
    sub(over, h.held)
    for _, name in ipairs(h.accounts) do
      local a = account(name)
      sub(a.held, h.held)
      count(a, counted, now)
      add(a.over, over)
      a.dirty = true
    end
  else
    -- Too late to come back, never too late to be counted; what was charged is counted already.
    local more = lasting(counted)
    sub(more, lasting(h.sum))
    for _, name in ipairs(h.accounts) do
      local a = account(name)
      count(a, more, now)
      add(a.over, more)
      a.dirty = true
    end
  end
elseif h.state == 'none' and ARGV[7] ~= '' then
  -- The server forgot a hold that the caller knows it had.
  counted = lasting(spent)
  for _, name in ipairs(split(string.sub(ARGV[7], 2))) do
    local a = account(name)
    count(a, counted, now)
    add(a.over, counted)
    a.dirty = true
  end
else
  if #lapsed > 0 then
    begin_always()
    save(remember)
  end
  return {h.state}
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
