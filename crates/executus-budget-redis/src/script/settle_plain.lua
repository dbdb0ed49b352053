
-- A live hold on one account that has no limit but a total.
if plain and f[1] == 'held' and epoch == ARGV[1] then
  local key = string.sub(META, 1, -5) .. 'a:' .. f[2]
  local a = call('HMGET', key, 'sums', 'packed')
  local limits = a[2] or meta[4] or ''
  if a[1] and (limits == '' or #limits == LIMIT_SIZE and open('<d', limits) == 0) then
    local h1, h2, h3, h4, c1, c2, c3 = open(TWICE, f[3])
    local l1, l2, l3 = 0, 0, 0
    if f[4] then l1, l2, l3 = open(FOUR, f[4]) end
    local t1, t2, t3 = open(FOUR, ARGV[6])
    c1 = min(max(c1 - l1, 0) + max(l1, t1), MAX)
    c2 = min(max(c2 - l2, 0) + max(l2, t2), MAX)
    c3 = min(max(c3 - l3, 0) + max(l3, t3), MAX)
    local a1, a2, a3, a4, s1, s2, s3, o1, o2, o3 = open(SUMS, a[1])
    -- The first write is never refused, and after it nothing is.
    call('ZREM', LEASES, id)
    call('DEL', HOLD)
    call('HSET', HOLD, 'state', 'closed', 'counted', pack(FOUR, c1, c2, c3, 0))
    call('PEXPIRE', HOLD, ARGV[4])
    call('HSET', key, 'sums', pack(SUMS, max(a1 - h1, 0), max(a2 - h2, 0), max(a3 - h3, 0),
      max(a4 - h4, 0), min(s1 + c1, MAX), min(s2 + c2, MAX), min(s3 + c3, MAX),
      min(o1 + max(c1 - h1, 0), MAX), min(o2 + max(c2 - h2, 0), MAX), min(o3 + max(c3 - h3, 0), MAX)))
    return {'ok', call('HINCRBY', META, 'count', 1)}
  end
end
