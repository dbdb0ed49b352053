
-- Takes the hold of this call out of its accounts: `spent` is counted, `over` beside as what no
-- hold covered.
local function count(spent, over)
  local s1, s2, s3 = spent[1], spent[2], spent[3]
  for n = 1, #h.accounts do
    local a = account(h.accounts[n])
    if h.state == 'held' then
      a[1], a[2] = max(a[1] - h[1], 0), max(a[2] - h[2], 0)
      a[3], a[4] = max(a[3] - h[3], 0), max(a[4] - h[4], 0)
    end
    a[5], a[6], a[7] = min(a[5] + s1, MAX), min(a[6] + s2, MAX), min(a[7] + s3, MAX)
    if over then
      a[8], a[9], a[10] = min(a[8] + over[1], MAX), min(a[9] + over[2], MAX), min(a[10] + over[3], MAX)
    end
    if a.w then rare().count(a, spent, now) end
    a.dirty = true
  end
end
