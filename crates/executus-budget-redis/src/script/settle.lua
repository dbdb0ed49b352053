-- Ends a hold and counts what was spent; what is above what was held is an overrun.
-- ARGV: 3 hold, 4 how long ended holds are remembered, in ms, 5 the hold's own line, 6 what it
-- spent, 7 the accounts, one a line, where the caller knows them: '-' and the list.
local id, remember = ARGV[3], ARGV[4]
local spent = {open(FOUR, ARGV[6])}
local h = this_hold(id, 'l:' .. ARGV[5])
local counted = {0, 0, 0}
if h.state == 'held' then
  local over = {0, 0, 0}
  for n = 1, 3 do
    counted[n] = min(max(h[n + 4] - h.line[n], 0) + max(h.line[n], spent[n]), MAX)
    over[n] = max(counted[n] - h[n], 0)
  end
  for n = 1, #h.accounts do
    local a = account(h.accounts[n])
    let_go(a, h)
    count(a, counted, now)
    overrun(a, over)
  end
elseif h.state == 'lapsed' then
  -- Too late to come back, never too late to be counted; what was charged is counted already.
  local more = {0, 0, 0}
  for n = 1, 3 do
    counted[n] = min(max(h[n + 4] - h.line[n], 0) + max(h.line[n], spent[n]), MAX)
    more[n] = max(counted[n] - h[n + 4], 0)
  end
  for _, name in ipairs(h.accounts) do
    local a = account(name)
    count(a, more, now)
    overrun(a, more)
    a.dirty = true
  end
elseif h.state == 'none' and ARGV[7] ~= '' then
  -- The server forgot a hold that the caller knows it had.
  counted = spent
  for _, name in ipairs(rare().split(string.sub(ARGV[7], 2))) do
    local a = account(name)
    count(a, counted, now)
    overrun(a, counted)
    a.dirty = true
  end
else
  return answer({h.state}, remember)
end

-- The first write is never refused, and after it nothing is.
call('ZREM', LEASES, id)
call('DEL', HOLD)
h.state = 'closed'
local number = save(remember)
call('HSET', HOLD, 'state', 'closed', 'counted', pack(FOUR, counted[1], counted[2], counted[3], 0))
call('PEXPIRE', HOLD, remember)
return done(number)
