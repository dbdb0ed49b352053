-- One lease: its last term, its end, its holder; the end is 0 when it was given back.
-- KEYS: 1 the lease. ARGV: 1 how long a term is remembered, in ms.
local LEASE = KEYS[1]
local term, ends, holder = 0, 0, ''
local stored = redis.call('GET', LEASE)
if stored then
  local t, e, h = string.match(stored, '^(%d+) (%d+) (.*)$')
  if not t then return 'unreadable' end
  term, ends, holder = tonumber(t), tonumber(e), h
end
local function save()
  local keep = math.ceil(math.max(ends - now, 0) / 1000) + ARGV[1]
  -- Put together without a format, which would end a holder's name at a NUL.
  redis.call('SET', LEASE, string.format('%.0f %.0f ', term, ends) .. holder, 'PX',
    string.format('%.0f', keep))
  return string.format('held %.0f', term)
end
