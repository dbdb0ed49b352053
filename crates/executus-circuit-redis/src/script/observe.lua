-- Takes in what somebody saw who looked without asking. ARGV: 3 policy, 4 outcome.
local before = redis.call('GET', ANSWER)
if before then return before end
local outcome, from = ARGV[4], b and b.state or 'closed'
if from == 'dormant' or outcome == 'neutral' then
  return change(from, false)
end
read_policy(ARGV[3])
begin()
if from == 'closed' then
  if outcome == 'success' then succeeded(1) else failed(1) end
elseif outcome == 'success' then
  close()
else
  probe_failed()
end
return save(change(from, true))
