
-- Begins an epoch: from here on the budget grants again.
-- ARGV: 3 the new epoch, 4 '1' to do so only where there never was one, 5.. names of accounts and
-- what they are known to have spent, in turn.
if ARGV[4] == '1' and (epoch or meta[3]) then
  return {'ok', tonumber(meta[2]) or 0, epoch or ''}
end
for n = 5, #ARGV, 2 do
  local a, more = account(ARGV[n]), {open(FOUR, ARGV[n + 1])}
  for m = 1, 3 do
    more[m] = max(more[m] - a[m + 4], 0)
    a[m + 4] = min(a[m + 4] + more[m], MAX)
  end
  rare().count(a, more, now)
  a.dirty = true
end
call('HSET', META, 'epoch', ARGV[3])
call('HDEL', META, 'lost')
return {'ok', save('0')[2], ARGV[3]}
