
-- Sets what a line of a hold has spent so far.
-- ARGV: 3 hold, 4 lease in ms, 5 how long ended holds are remembered, in ms, 6 line, 7 its total.
local remember = ARGV[5]
if h.state ~= 'held' then
  if lapsed then save(remember) end
  return {h.state}
end

-- A line only grows: what arrives late or twice changes nothing.
local before = h.line and {open(FOUR, h.line)} or {0, 0, 0, 0}
local total, more = {open(FOUR, ARGV[7])}, {0, 0, 0, 0}
for n = 1, 4 do
  total[n] = max(total[n], before[n])
  h[n + 4] = min(max(h[n + 4] - before[n], 0) + total[n], MAX)
  more[n] = max(h[n + 4] - h[n], 0)
end
if more[1] + more[2] + more[3] + more[4] > 0 then
  -- What passes the hold is taken from what is left of every limit, or not at all.
  for _, name in ipairs(h.accounts) do
    local a = account(name)
    local place = exceeded(a, more[1], more[2], more[3], more[4])
    if place then
      local answer = rare().refusal(a, place, more)
      if lapsed then save(remember) end
      return answer
    end
  end
  for _, name in ipairs(h.accounts) do
    local a = account(name)
    for n = 1, 4 do a[n] = min(a[n] + more[n], MAX) end
    a.dirty = true
  end
  for n = 1, 4 do h[n] = min(h[n] + more[n], MAX) end
end

-- A line more is little, and what is not recorded is lost: this works without memory, too.
call('ZREM', LEASES, '')
call('HSET', HOLD, 'sums', pack(TWICE, unpack(h, 1, 8)), line, pack(FOUR, unpack(total, 1, 4)))
call('ZADD', LEASES, now + ARGV[4], id)
return save(remember)
