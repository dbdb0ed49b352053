-- Nobody listens to this call any more: the place it took is given back, and if it is still on its
-- way it takes none. ARGV: 3 owner, 4 how long it may be on its way, in ms.
local before = redis.call('GET', ANSWER)
local generation = before and string.match(before, '^admitted (%d+) 1')
if generation and is_current(tonumber(generation), ARGV[3], true) then
  b.probe = nil
  return save('revoked', ARGV[4])
end
redis.call('SET', ANSWER, 'revoked', 'PX', ARGV[4])
return 'revoked'
