-- Asks whether a call may pass. ARGV: 3 owner, 4 lease.
if not b then
  begin()
  return save(format('admitted %.0f 0 %s', b.generation, snapshot()))
end
if b.state == 'closed' then
  return format('admitted %.0f 0 %s', b.generation, snapshot())
end
local before = redis.call('GET', ANSWER)
if before then return before end
local wait = 0
if now < b.at then wait = b.at elseif b.probe and now < b.probe.at then wait = b.probe.at end
if wait > 0 then
  return format('refused %.0f %s', wait - now, snapshot())
end
b.generation = b.generation + 1
b.probe = { owner = ARGV[3], at = now + ARGV[4] }
-- As long as the place is taken: whoever never heard of it may give it back.
return save(format('admitted %.0f 1 %s', b.generation, snapshot()), max(ceil(ARGV[4] / 1000), ARGV[2]))
