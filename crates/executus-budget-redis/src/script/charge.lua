-- Sets what a line of a hold has spent so far.
-- ARGV: 3 hold, 4 lease in ms, 5 how long ended holds are remembered, in ms, 6 line, 7 its total.
local id, lease, remember = ARGV[3], tonumber(ARGV[4]), ARGV[5]
local line, total = 'l:' .. ARGV[6], amounts(ARGV[7])

reap(FEW)
local h = this_hold(id)
if h.state ~= 'held' then
  if #lapsed > 0 then
    begin_always()
    save(remember)
  end
  return {h.state}
end

-- A line only grows: what arrives late or twice changes nothing.
local before = amounts(redis.call('HGET', HOLD, line))
for i = 1, 4 do total[i] = max(total[i], before[i]) end
local sum = {h.sum[1], h.sum[2], h.sum[3], h.sum[4]}
sub(sum, before)
add(sum, total)
local more = {sum[1], sum[2], sum[3], sum[4]}
sub(more, h.held)
local mine = {}
if more[1] + more[2] + more[3] + more[4] > 0 then
  -- What passes the hold is taken from what is left of every limit, or not at all.
  for _, name in ipairs(h.accounts) do mine[#mine + 1] = account(name) end
  for _, a in ipairs(mine) do
    local at = exceeded(a, more)
    if at then
      local answer = refusal(a, at, more)
      if #lapsed > 0 then
        begin_always()
        save(remember)
      end
      return answer
    end
  end
end

for _, a in ipairs(mine) do
  add(a.held, more)
  a.dirty = true
end
add(h.held, more)
-- A line more is little, and what is not recorded is lost: this works without memory, too.
begin_always()
redis.call('HSET', HOLD, 'held', text(h.held), 'sum', text(sum), line, text(total))
redis.call('ZADD', LEASES, whole(now + lease), id)
return {'ok', save(remember), epoch or ''}
