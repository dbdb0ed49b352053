-- Makes the circuit dormant by an operator's word. ARGV: 3 policy.
local before = redis.call('GET', ANSWER)
if before then return before end
begin()
local from = b.state
if from == 'dormant' and b.forced and now < b.at then
  return change(from, false)
end
read_policy(ARGV[3])
leave('dormant', now + policy[7])
b.forced = true
-- The operator knows: as from dormant, nobody is told.
return save(format('changed 1 %s 0 %s', from, snapshot()))
