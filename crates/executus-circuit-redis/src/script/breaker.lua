-- One circuit, as `Breaker` has it; all numbers are whole, times are microseconds.
-- KEYS: 1 the record, 2 what this call was answered, if it is made again.
-- ARGV: 1 how long an idle circuit is remembered, 2 how long an answer is, both in ms.
local RECORD, ANSWER = KEYS[1], KEYS[2]
local BUCKETS, MOST, REMEMBERED = 30, 4294967295, 16
local floor, ceil, min, max, format = math.floor, math.ceil, math.min, math.max, string.format

local b = nil
local stored = redis.call('GET', RECORD)
if stored then
  local is_json, it = pcall(cjson.decode, stored)
  if not is_json or type(it) ~= 'table' or it.version ~= 1 then
    return 'unreadable'
  end
  b = {
    generation = it.generation, state = it.state, failures = it.failures,
    since_opening = it.since_opening, at = it['until'], forced = it.forced,
    window = it.window, merged = it.merged,
  }
  if it.probe ~= cjson.null then
    b.probe = { owner = it.probe.owner, at = it.probe['until'] }
  end
end

-- A circuit without a record. The time is a generation that no ticket of an earlier record has.
local function begin()
  b = b or {
    generation = now, state = 'closed', failures = 0, since_opening = 0, at = 0, forced = false,
    window = {}, merged = {},
  }
end

local function save(answer, remember)
  local window, merged, probe, last = {}, {}, 'null', max(b.at, now)
  for i, k in ipairs(b.window) do
    window[i] = format('{"slot":%.0f,"successes":%.0f,"failures":%.0f}', k.slot, k.successes,
      k.failures)
  end
  for i, id in ipairs(b.merged) do merged[i] = format('%.0f', id) end
  if b.probe then
    probe = format('{"owner":%s,"until":%.0f}', cjson.encode(b.probe.owner), b.probe.at)
    last = max(last, b.probe.at)
  end
  local text = format('{"version":1,"generation":%.0f,"state":"%s","failures":%.0f,'
    .. '"since_opening":%.0f,"until":%.0f,"forced":%s,"probe":%s,"window":[%s],"merged":[%s]}',
    b.generation, b.state, b.failures, b.since_opening, b.at, tostring(b.forced), probe,
    table.concat(window, ','), table.concat(merged, ','))
  redis.call('SET', RECORD, text, 'PX', format('%.0f', ceil((last - now) / 1000) + ARGV[1]))
  redis.call('SET', ANSWER, answer, 'PX', format('%.0f', remember or ARGV[2]))
  return answer
end

-- State, failures, failed probes, time to the next probe, and whether one is under way.
local function snapshot()
  if not b then return 'closed 0 0 0 0' end
  local next_probe = b.state == 'closed' and 0 or max(b.at - now, 0)
  local probing = b.probe and now < b.probe.at and 1 or 0
  return format('%s %.0f %.0f %.0f %d', b.state, b.failures, max(b.since_opening - 1, 0),
    next_probe, probing)
end

-- What a result did: whether anything, the state before, whether an operator must be told.
local function change(from, applied)
  local dormant = applied and b.state == 'dormant' and from ~= 'dormant'
  return format('changed %d %s %d %s', applied and 1 or 0, from, dormant and 1 or 0, snapshot())
end

-- The policy: failures in a row, the width of a bucket (0 without an error rate), samples, ratio,
-- failures until dormant, and the times: dormant, forced, and the cooldowns by nth failure.
local policy = {}
local function read_policy(text)
  for n in string.gmatch(text, '%S+') do policy[#policy + 1] = tonumber(n) end
end
local function cooldown(nth) return policy[7 + min(nth, #policy - 7)] end

-- Each state is a generation, and its window starts anew.
local function leave(to, at)
  b.state, b.at, b.generation = to, at, b.generation + 1
  b.forced, b.probe, b.window = false, nil, {}
end

local function close()
  leave('closed', 0)
  b.failures, b.since_opening = 0, 0
end

local function open(nth)
  if nth >= policy[5] then leave('dormant', now + policy[6]) else leave('open', now + cooldown(nth)) end
  b.since_opening = nth
end

local function probe_failed()
  b.failures = min(b.failures + 1, MOST)
  local nth = min(b.since_opening + 1, MOST)
  if b.state == 'dormant' then
    leave('dormant', now + policy[6])
    b.since_opening = nth
  else
    open(nth)
  end
end

local function add(at, successes, failures)
  local width, w = policy[2], b.window
  if width == 0 then return end
  local latest = floor(now / width)
  -- A clock that went back leaves buckets of the future behind.
  while #w > 0 and w[#w].slot > latest + 1 do table.remove(w) end
  while #w > 0 and w[1].slot <= latest - BUCKETS do table.remove(w, 1) end
  local slot = min(floor(at / width), latest)
  if slot <= latest - BUCKETS then return end
  local place = #w
  while place > 0 and w[place].slot > slot do place = place - 1 end
  local k = w[place]
  if k and k.slot == slot then
    k.successes = min(k.successes + successes, MOST)
    k.failures = min(k.failures + failures, MOST)
  else
    table.insert(w, place + 1, { slot = slot, successes = successes, failures = failures })
  end
end

local function trips()
  if b.failures >= policy[1] then return true end
  local width = policy[2]
  if width == 0 then return false end
  local latest, good, bad = floor(now / width), 0, 0
  for _, k in ipairs(b.window) do
    if k.slot > latest - BUCKETS and k.slot <= latest + 1 then
      good, bad = good + k.successes, bad + k.failures
    end
  end
  return good + bad >= policy[3] and bad >= policy[4] * (good + bad)
end

local function succeeded(times)
  b.failures = 0
  add(now, times, 0)
end

local function failed(times)
  for _ = 1, times do
    b.failures = min(b.failures + 1, MOST)
    add(now, 0, 1)
    if trips() then return open(1) end
  end
end

local function is_current(generation, owner, is_probe)
  if not b or b.generation ~= generation then return false end
  if b.probe then return is_probe and b.probe.owner == owner end
  return not is_probe and b.state == 'closed'
end
