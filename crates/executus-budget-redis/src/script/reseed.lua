-- Begins an epoch: from here on the budget grants again.
-- ARGV: 3 the new epoch, 4 '1' to do so only where there never was one, 5.. names of accounts and
-- what they are known to have spent, in turn.
if ARGV[4] == '1' and (epoch or lost) then
  return {'ok', whole(counted), epoch or ''}
end
for i = 5, #ARGV, 2 do
  local a = account(ARGV[i])
  local more = amounts(ARGV[i + 1])
  sub(more, a.spent)
  count(a, more, now)
  a.dirty = true
end
redis.call('HSET', META, 'epoch', ARGV[3])
redis.call('HDEL', META, 'lost')
return {'ok', save('0'), ARGV[3]}
