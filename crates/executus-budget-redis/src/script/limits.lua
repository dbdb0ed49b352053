-- Sets the limits of an account, or those of all accounts that have none of their own.
-- KEYS[3] the account. ARGV: 3 its name after '-', or '' for the default; 4 the limits, or '' for
-- none of its own: `window,bucket_ms,buckets,t,r,c,n`, one after the other with `;`.
local packed = {}
for item in string.gmatch(ARGV[4], '[^;]+') do
  local place = 0
  for part in string.gmatch(item, '[^,]+') do
    place = place + 1
    packed[#packed + 1] = place == 1 and part or tonumber(part)
  end
end
if ARGV[3] == '' then
  call('HSET', META, 'limits', ARGV[4], 'packed', cmsgpack.pack(packed))
else
  local a = account(string.sub(ARGV[3], 2))
  -- A window that stays keeps its count; one that is no longer limited is forgotten.
  local now_of = packed
  if ARGV[4] == '' then now_of = meta[4] and cmsgpack.unpack(meta[4]) or {} end
  local kept = {}
  for n = 1, #now_of, 7 do kept[now_of[n]] = true end
  local gone = {}
  for _, field in ipairs(call('HKEYS', KEYS[3])) do
    local window = string.match(field, '^b:([^:]+:%d+):%d+$')
    if window and not kept[window] then gone[#gone + 1] = field end
  end
  for i in pairs(a.w or {}) do
    if not kept[a.limits[i]] then a.w[i] = nil end
  end
  a.dirty = true
  save('0')
  for n = 1, #gone do call('HDEL', KEYS[3], gone[n]) end
  if ARGV[4] == '' then
    call('HDEL', KEYS[3], 'limits', 'packed')
  else
    call('HSET', KEYS[3], 'limits', ARGV[4], 'packed', cmsgpack.pack(packed))
  end
end
return {'ok', call('HINCRBY', META, 'count', 1), epoch or ''}
