
-- The hold of this call: what is held as 1 to 4, what was charged as 5 to 8, and the line `line` of
-- it. It is ended if its lease ran out.
do
  if f[3] then
    local names = f[2]
    h = {
      id = id, key = HOLD, state = f[1], line = f[4], ending = false,
      accounts = string.find(names, '\n', 1, true) and rare().split(names) or {names},
      open(TWICE, f[3]),
    }
  else
    h = {id = id, key = HOLD, state = f[1] or 'none'}
  end
  if due[1] then
    rare().reap(due)
    if #due == 2 * FEW and h.state == 'held' then
      local lease = tonumber(call('ZSCORE', LEASES, id))
      if lease and lease <= now then rare().lapse(h, lease) end
    end
  end
end
