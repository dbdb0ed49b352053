
-- Sets the limits of an account, or those of all accounts that have none of their own.
-- KEYS[3] the account. ARGV: 3 its name after '-', or '' for the default; 4 the limits in words, or
-- '' for none of its own; 5 the same packed, as `account` reads them.
if ARGV[3] == '' then
  call('HSET', META, 'limits', ARGV[4], 'packed', ARGV[5])
else
  local a, before = account(string.sub(ARGV[3], 2)), nil
  -- A window that stays keeps its count; one that is no longer limited is forgotten.
  before, a.limits = a.w or {}, ARGV[4] == '' and (meta[4] or '') or ARGV[5]
  local ended = a.gone
  rare().windows(a, nil)
  a.gone = ended or {}
  for _, w in pairs(a.w) do
    for _, old in pairs(before) do
      if old.name == w.name then
        w[1], w[2], w[3], w[4] = old[1], old[2], old[3], old[4]
        old.kept = true
      end
    end
  end
  local gone = {}
  for _, field in ipairs(call('HKEYS', KEYS[3])) do
    for _, old in pairs(before) do
      if not old.kept and string.sub(field, 1, #old.name + 3) == 'b:' .. old.name .. ':' then
        gone[#gone + 1] = field
      end
    end
  end
  a.dirty = true
  save('0')
  for n = 1, #gone do call('HDEL', KEYS[3], gone[n]) end
  if ARGV[4] == '' then
    call('HDEL', KEYS[3], 'limits', 'packed')
  else
    call('HSET', KEYS[3], 'limits', ARGV[4], 'packed', ARGV[5])
  end
end
return {'ok', call('HINCRBY', META, 'count', 1), epoch or ''}
