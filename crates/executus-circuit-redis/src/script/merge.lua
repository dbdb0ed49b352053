-- Takes in what a process saw while this server was away from it. ARGV: 3 policy, 4 id, 5 owner,
-- 6 '1' if the peer answered, 7 failures after that, 8 the state it held in the end, 9 its failures,
-- 10 its failed probes, 11 the time to its next probe, then age, successes, failures of each sample.
local before = redis.call('GET', ANSWER)
if before then return before end
begin()
read_policy(ARGV[3])
local id, from = tonumber(ARGV[4]), b.state
for _, merged in ipairs(b.merged) do
  if merged == id then return change(from, false) end
end
if #b.merged == REMEMBERED then table.remove(b.merged, 1) end
b.merged[#b.merged + 1] = id
if b.probe and b.probe.owner == ARGV[5] then b.probe = nil end
local trailing, standing = tonumber(ARGV[7]), ARGV[8]
if b.state == 'closed' then
  for i = 12, #ARGV, 3 do add(now - ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])) end
  b.failures = min((ARGV[6] == '1' and 0 or b.failures) + trailing, MOST)
end
local probes = tonumber(ARGV[10])
if standing ~= 'closed' and (b.state == 'closed' or probes >= b.since_opening) then
  b.failures = max(b.failures, tonumber(ARGV[9]))
  leave(standing, now + min(tonumber(ARGV[11]), policy[6]))
  b.since_opening = min(probes + 1, MOST)
elseif b.state == 'closed' and trailing > 0 and trips() then
  open(1)
end
return save(change(from, true))
