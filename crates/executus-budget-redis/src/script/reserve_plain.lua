
-- A new hold on one account that is known and has no limit but a total, which covers it.
if plain and usable and not f[1] and not string.find(ARGV[6], '\n', 1, true) then
  local key = string.sub(META, 1, -5) .. 'a:' .. ARGV[6]
  local a = call('HMGET', key, 'sums', 'packed')
  local limits = a[2] or meta[4] or ''
  if a[1] and (limits == '' or #limits == LIMIT_SIZE and open('<d', limits) == 0) then
    local h1, h2, h3, h4, s1, s2, s3, o1, o2, o3 = open(SUMS, a[1])
    local m1, m2, m3, m4 = open(FOUR, ARGV[7])
    local l1, l2, l3, l4 = MAX, MAX, MAX, MAX
    if limits ~= '' then l1, l2, l3, l4 = open(FOUR, limits, 25) end
    if (m1 == 0 or l1 == MAX or h1 + s1 + m1 <= l1) and (m2 == 0 or l2 == MAX or h2 + s2 + m2 <= l2)
      and (m3 == 0 or l3 == MAX or h3 + s3 + m3 <= l3) and (m4 == 0 or l4 == MAX or h4 + m4 <= l4)
    then
      -- The first write is one that is refused without memory: then nothing is held.
      call('HSET', HOLD, 'state', 'held', 'accounts', ARGV[6], 'sums', ARGV[7])
      call('ZADD', LEASES, now + ARGV[4], id)
      call('HSET', key, 'sums', pack(SUMS, min(h1 + m1, MAX), min(h2 + m2, MAX), min(h3 + m3, MAX),
        min(h4 + m4, MAX), s1, s2, s3, o1, o2, o3))
      local number = call('HINCRBY', META, 'count', 1)
      if epoch == ARGV[1] then return {'ok', number} end
      return {'ok', number, epoch}
    end
  end
end
