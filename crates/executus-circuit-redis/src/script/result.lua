-- Takes in how an admitted call went. ARGV: 3 policy, 4 generation, 5 owner, 6 '1' for a probe,
-- 7 outcome, 8 how often.
local before = redis.call('GET', ANSWER)
if before then return before end
local is_probe, outcome, times = ARGV[6] == '1', ARGV[7], tonumber(ARGV[8])
local from = b and b.state or 'closed'
if times == 0 or not is_current(tonumber(ARGV[4]), ARGV[5], is_probe) then
  return change(from, false)
end
read_policy(ARGV[3])
if is_probe then
  if outcome == 'neutral' then b.probe = nil elseif outcome == 'success' then close() else probe_failed() end
elseif outcome == 'success' then
  succeeded(times)
elseif outcome == 'failure' then
  failed(times)
else
  return change(from, true)
end
return save(change(from, true))
