
-- What stands in an account, in words; holds whose lease ran out are ended first.
-- KEYS[3] the account. ARGV: 3 how long ended holds are remembered, in ms.
local text = rare().text
local number = tonumber(meta[2]) or 0
if due[1] then
  rare().reap_many()
  call('ZREM', LEASES, '')
  number = save(ARGV[3])[2]
end
local a = call('HGETALL', KEYS[3])
local fields, sums, windows, limits = {}, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, {}, nil
for n = 1, #a, 2 do
  local name, value = a[n], a[n + 1]
  if name == 'sums' then
    sums = {open(SUMS, value)}
  elseif name == 'limits' then
    limits = value
  elseif name == 'windows' then
    for window, sum in pairs(cmsgpack.unpack(value)) do
      windows[#windows + 1] = string.format('%s=%.0f,%s', window, sum[1], text({sum[2], sum[3], sum[4]}))
    end
  elseif string.sub(name, 1, 2) == 'b:' then
    fields[#fields + 1] = name
    fields[#fields + 1] = text({open(FOUR, value)})
  end
end
for _, pair in ipairs({
  {'held', text(sums)}, {'spent', text({sums[5], sums[6], sums[7]})},
  {'over', text({sums[8], sums[9], sums[10]})}, {'win', table.concat(windows, ';')},
  {'limits', limits or call('HGET', META, 'limits') or ''},
}) do
  fields[#fields + 1] = pair[1]
  fields[#fields + 1] = pair[2]
end
return {'ok', number, epoch or '', string.format('%.0f', now), fields}
