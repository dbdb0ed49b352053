
-- Ends a hold and counts what was spent; what is above what was held is an overrun.
-- ARGV: 3 hold, 4 how long ended holds are remembered, in ms, 5 the hold's own line, 6 what it
-- spent, 7 the accounts, one a line, where the caller knows them: '-' and the list.
local remember = ARGV[4]
local counted
if h.state == 'held' or h.state == 'lapsed' then
  local s1, s2, s3 = open(FOUR, ARGV[6])
  local l1, l2, l3 = 0, 0, 0
  if h.line then l1, l2, l3 = open(FOUR, h.line) end
  local c1 = min(max(h[5] - l1, 0) + max(l1, s1), MAX)
  local c2 = min(max(h[6] - l2, 0) + max(l2, s2), MAX)
  local c3 = min(max(h[7] - l3, 0) + max(l3, s3), MAX)
  counted = {c1, c2, c3}
  if h.state == 'lapsed' then
    -- Too late to come back, never too late to be counted; what was charged is counted already.
    local more = {max(c1 - h[5], 0), max(c2 - h[6], 0), max(c3 - h[7], 0)}
    count(more, more)
  elseif c1 > h[1] or c2 > h[2] or c3 > h[3] then
    count(counted, {max(c1 - h[1], 0), max(c2 - h[2], 0), max(c3 - h[3], 0)})
  else
    count(counted)
  end
elseif h.state == 'none' and ARGV[7] ~= '' then
  -- The server forgot a hold that the caller knows it had.
  counted = {open(FOUR, ARGV[6])}
  h.accounts = rare().split(string.sub(ARGV[7], 2))
  count(counted, counted)
else
  if lapsed then save(remember) end
  return {h.state}
end

-- The first write is never refused, and after it nothing is.
call('ZREM', LEASES, id)
call('DEL', HOLD)
h.state = 'closed'
call('HSET', HOLD, 'state', 'closed', 'counted', pack(FOUR, counted[1], counted[2], counted[3], 0))
call('PEXPIRE', HOLD, remember)
return save(remember)
