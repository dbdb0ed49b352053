-- Sets the limits of an account, or those of all accounts that have none of their own.
-- KEYS[3] the account. ARGV: 3 its name after '-', or '' for the default; 4 the limits, or '' for
-- none of its own.
if ARGV[3] == '' then
  redis.call('HSET', META, 'limits', ARGV[4])
else
  local name = string.sub(ARGV[3], 2)
  -- A window that stays keeps its count; one that is no longer limited is forgotten.
  local kept = {}
  for _, limit in ipairs(limits_of(ARGV[4] == '' and defaults or ARGV[4])) do kept[limit.window] = true end
  local a = account(name)
  local gone = {}
  for _, field in ipairs(redis.call('HKEYS', KEYS[3])) do
    local window = match(field, '^b:([^:]+:%d+):%d+$')
    if window and not kept[window] then gone[#gone + 1] = field end
  end
  local limits = {}
  for _, limit in ipairs(a.limits) do
    if kept[limit.window] then limits[#limits + 1] = limit end
  end
  a.limits = limits
  save_account(a)
  for i = 1, #gone do redis.call('HDEL', KEYS[3], gone[i]) end
  if #limits == 0 then redis.call('HDEL', KEYS[3], 'win') end
  if ARGV[4] == '' then
    redis.call('HDEL', KEYS[3], 'limits')
  else
    redis.call('HSET', KEYS[3], 'limits', ARGV[4])
  end
end
return {'ok', whole(redis.call('HINCRBY', META, 'count', 1)), epoch or ''}
