-- A page of the live holds. ARGV: 3 cursor, 4 how many, about.
local page = redis.call('ZSCAN', LEASES, ARGV[3], 'COUNT', ARGV[4])
local list = {}
for i = 1, #page[2], 2 do
  local id, lease = page[2][i], page[2][i + 1]
  local f = redis.call('HMGET', PREFIX .. 'h:' .. id, 'accounts', 'held', 'sum')
  if f[1] then list[#list + 1] = {id, whole(tonumber(lease)), f[1], f[2], f[3]} end
end
return {'ok', whole(counted), epoch or '', page[1], list}
