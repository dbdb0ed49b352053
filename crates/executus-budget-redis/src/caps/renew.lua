-- Renews the leases of permits. ARGV: 1 lease in ms, then the permits.
local leases = {}
for i = 2, #ARGV do
  leases[#leases + 1] = whole(now + tonumber(ARGV[1]))
  leases[#leases + 1] = ARGV[i]
end
redis.call('ZREM', QUEUE, '')
redis.call('ZADD', PERMITS, 'XX', unpack(leases))
return {'ok', '0'}
