
-- A charge within its hold: no account has to be looked at.
if plain and f[1] == 'held' and epoch == ARGV[1] then
  local h1, h2, h3, h4, c1, c2, c3, c4 = open(TWICE, f[3])
  local l1, l2, l3, l4 = 0, 0, 0, 0
  if f[4] then l1, l2, l3, l4 = open(FOUR, f[4]) end
  local t1, t2, t3, t4 = open(FOUR, ARGV[7])
  t1, t2, t3, t4 = max(t1, l1), max(t2, l2), max(t3, l3), max(t4, l4)
  c1, c2 = max(c1 - l1, 0) + t1, max(c2 - l2, 0) + t2
  c3, c4 = max(c3 - l3, 0) + t3, max(c4 - l4, 0) + t4
  if c1 <= h1 and c2 <= h2 and c3 <= h3 and c4 <= h4 then
    call('ZREM', LEASES, '')
    call('HSET', HOLD, 'sums', pack(TWICE, h1, h2, h3, h4, c1, c2, c3, c4), line, pack(FOUR, t1, t2, t3, t4))
    call('ZADD', LEASES, now + ARGV[4], id)
    return {'ok', call('HINCRBY', META, 'count', 1)}
  end
end
