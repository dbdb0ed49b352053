
-- The place of the first limit of an account that does not cover `more`.
local function exceeded(a, m1, m2, m3, m4)
  local limits = a.limits
  for place = 1, #limits, LIMIT_SIZE do
    local length, _, _, l1, l2, l3, l4 = open(LIMIT, limits, place)
    local s1, s2, s3 = a[5], a[6], a[7]
    if length > 0 then
      local w = a.w[place]
      s1, s2, s3 = w[2], w[3], w[4]
    end
    if m1 > 0 and l1 < MAX and a[1] + s1 + m1 > l1
      or m2 > 0 and l2 < MAX and a[2] + s2 + m2 > l2
      or m3 > 0 and l3 < MAX and a[3] + s3 + m3 > l3
      or m4 > 0 and l4 < MAX and a[4] + m4 > l4
    then
      return place
    end
  end
end
