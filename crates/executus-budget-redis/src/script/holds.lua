
-- A page of the live holds, in words. ARGV: 3 cursor, 4 how many, about.
local page, text, list = call('ZSCAN', LEASES, ARGV[3], 'COUNT', ARGV[4]), rare().text, {}
for n = 1, #page[2], 2 do
  local id = page[2][n]
  local f = call('HMGET', string.sub(META, 1, -5) .. 'h:' .. id, 'accounts', 'sums')
  if f[1] and f[2] then
    local sums = {open(TWICE, f[2])}
    local lease = string.format('%.0f', tonumber(page[2][n + 1]))
    list[#list + 1] = {id, lease, f[1], text(sums), text(sums, 5)}
  end
end
return {'ok', tonumber(meta[2]) or 0, epoch or '', page[1], list}
