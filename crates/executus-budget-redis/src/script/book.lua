-- What all scripts of the budget begin with: the book, read before anything is written.
--
-- KEYS[1] meta, KEYS[2] leases, KEYS[3] the hold, where there is one; keys of accounts and of
-- holds that lapse are made from the same prefix, and are in the same slot by its hash tag.
-- ARGV[1] the epoch that the caller knows, ARGV[2] the count that it saw last.
--
-- Every script has two halves: first everything is read and reckoned, then everything is written.
-- A script that fails halfway keeps what it wrote before, so nothing may fail in the second half.
local META, LEASES, HOLD = KEYS[1], KEYS[2], KEYS[3]
local PREFIX = string.sub(META, 1, -5)
local MAX = 9007199254740991
-- How many holds one call ends at most whose lease ran out: the cost of a call has a bound.
local FEW, MANY = 16, 256

local floor, min, max = math.floor, math.min, math.max
local format, match, gmatch = string.format, string.match, string.gmatch

local clock = redis.call('TIME')
local now = clock[1] * 1000 + floor(clock[2] / 1000)

-- Amounts are {tokens, runtime, cost, runs}, and four integers with commas as a text.
local function amounts(text)
  if not text then return {0, 0, 0, 0} end
  local t, r, c, n = match(text, '^(%d+),(%d+),(%d+),(%d+)$')
  return {tonumber(t), tonumber(r), tonumber(c), tonumber(n)}
end
local function text(a)
  return format('%.0f,%.0f,%.0f,%.0f', a[1], a[2], a[3], a[4])
end
local function add(a, b)
  for i = 1, 4 do a[i] = min(a[i] + b[i], MAX) end
end
local function sub(a, b)
  for i = 1, 4 do a[i] = max(a[i] - b[i], 0) end
end
local function whole(n) return format('%.0f', n) end

local meta = redis.call('HMGET', META, 'epoch', 'count', 'lost', 'limits')
local epoch, counted, lost, defaults = meta[1], tonumber(meta[2]) or 0, meta[3], meta[4] or ''
-- A server that has counted less than this caller saw has gone back in time: it was restored from
-- an older state, or a replica took over that had not heard everything.
local rolled_back = epoch and epoch == ARGV[1] and counted < tonumber(ARGV[2])
local usable = epoch and not lost and not rolled_back

-- Accounts that this call has read, by name.
local accounts, names = {}, {}

-- A limit is `window,bucket_ms,buckets,t,r,c,n`; 0 and 0 for the total.
local function limits_of(list)
  local limits = {}
  for item in gmatch(list, '[^;]+') do
    local window, ms, buckets, rest = match(item, '^([^,]+),(%d+),(%d+),(.+)$')
    limits[#limits + 1] = {
      text = item, window = window, ms = tonumber(ms), buckets = tonumber(buckets),
      most = amounts(rest),
    }
  end
  return limits
end

-- What was spent in a bucket of a rolling window.
local function bucket(a, limit, at)
  local field = 'b:' .. limit.window .. ':' .. whole(at)
  local known = a.buckets[field]
  if not known then
    known = amounts(redis.call('HGET', a.key, field))
    a.buckets[field] = known
  end
  return known, field
end

-- Moves the sum of a window on to now. Costs nothing unless a bucket has ended since.
local function roll(a, limit, sum)
  limit.sum = sum
  local current = floor(now / limit.ms)
  if current <= sum.at then return end
  local first, last = sum.at - limit.buckets + 1, current - limit.buckets
  if limit.buckets == 1 or last >= sum.at then
    sum.spent = {0, 0, 0, 0}
    last = min(last, sum.at)
  end
  if limit.buckets > 1 then
    local fields = {}
    for at = max(first, 0), last do fields[#fields + 1] = 'b:' .. limit.window .. ':' .. whole(at) end
    if #fields > 0 then
      for i, spent in ipairs(redis.call('HMGET', a.key, unpack(fields))) do
        if spent then
          sub(sum.spent, amounts(spent))
          a.gone[#a.gone + 1] = fields[i]
        end
      end
    end
  end
  sum.at = current
end

local function account(name)
  local a = accounts[name]
  if a then return a end
  local key = PREFIX .. 'a:' .. name
  local f = redis.call('HMGET', key, 'held', 'spent', 'over', 'limits', 'win')
  a = {
    name = name, key = key, new = not f[1], held = amounts(f[1]), spent = amounts(f[2]),
    over = amounts(f[3]), limits = limits_of(f[4] or defaults), buckets = {}, gone = {},
  }
  local sums = {}
  if f[5] then
    for window, at, spent in gmatch(f[5], '([^=;]+)=(%d+),([^;]+)') do
      sums[window] = {at = tonumber(at), spent = amounts(spent)}
    end
  end
  for _, limit in ipairs(a.limits) do
    if limit.ms > 0 then
      roll(a, limit, sums[limit.window] or {at = floor(now / limit.ms), spent = {0, 0, 0, 0}})
    end
  end
  accounts[name] = a
  names[#names + 1] = name
  return a
end

-- Counts what was spent at a moment: for ever, and in every window that the moment is still in.
local function count(a, spent, at)
  add(a.spent, spent)
  for _, limit in ipairs(a.limits) do
    if limit.ms > 0 then
      local b = min(floor(at / limit.ms), limit.sum.at)
      if b > limit.sum.at - limit.buckets then
        add(limit.sum.spent, spent)
        if limit.buckets > 1 then add((bucket(a, limit, b)), spent) end
      end
    end
  end
end

-- The first limit that does not cover `more`: its number, and that of the dimension.
local function exceeded(a, more)
  for at, limit in ipairs(a.limits) do
    local spent = limit.ms > 0 and limit.sum.spent or a.spent
    for i = 1, 4 do
      local used = i < 4 and spent[i] or 0
      if limit.most[i] < MAX and more[i] > max(limit.most[i] - a.held[i] - used, 0) then
        return at, i
      end
    end
  end
end

-- The refusal: what its reader needs to say what is left and when there will be more.
local function refusal(a, at, more)
  local limit = a.limits[at]
  local buckets = {}
  if limit.ms == 0 then
    buckets = {'0', text(a.spent)}
  elseif limit.buckets == 1 then
    buckets = {whole(limit.sum.at), text(limit.sum.spent)}
  else
    for b = max(limit.sum.at - limit.buckets + 1, 0), limit.sum.at do
      local spent = bucket(a, limit, b)
      if spent[1] + spent[2] + spent[3] > 0 then
        buckets[#buckets + 1] = whole(b)
        buckets[#buckets + 1] = text(spent)
      end
    end
  end
  return {'exceeded', a.name, limit.text, text(more), text(a.held), whole(now), buckets}
end

local function split(list)
  local parts = {}
  for part in gmatch(list, '[^\n]+') do parts[#parts + 1] = part end
  -- A caller's name may be empty: its account is then the first, and nothing before the newline.
  if string.sub(list, 1, 1) == '\n' or list == '' then table.insert(parts, 1, '') end
  return parts
end

-- Holds that this call has read, by id, and those whose lease ran out.
local holds, lapsed = {}, {}

local function hold_of(id, key)
  local h = holds[id]
  if h then return h end
  local f = redis.call('HMGET', key, 'state', 'accounts', 'held', 'sum')
  h = {id = id, key = key, state = f[1] or 'none'}
  if f[2] then h.accounts, h.held, h.sum = split(f[2]), amounts(f[3]), amounts(f[4]) end
  holds[id] = h
  return h
end

-- What was charged and stays: a place among the runs at once does not.
local function lasting(a) return {a[1], a[2], a[3], 0} end

-- Ends a hold whose lease ran out: what was charged is spent at the end of the lease.
local function lapse(h, at)
  if h.state == 'held' then
    local spent = lasting(h.sum)
    for _, name in ipairs(h.accounts) do
      local a = account(name)
      sub(a.held, h.held)
      count(a, spent, at)
      a.dirty = true
    end
    h.state = 'lapsed'
  end
  h.lapsed = true
  lapsed[#lapsed + 1] = h
end

-- Ends holds whose lease ran out, so many at most. Returns how many there were.
local function reap(most)
  local due = redis.call('ZRANGEBYSCORE', LEASES, '-inf', whole(now), 'WITHSCORES', 'LIMIT', 0, most)
  for i = 1, #due, 2 do
    local h = hold_of(due[i], PREFIX .. 'h:' .. due[i])
    if not h.lapsed then lapse(h, tonumber(due[i + 1])) end
  end
  return #due / 2
end

-- The hold of this call, lapsed if it is due.
local function this_hold(id)
  local h = hold_of(id, HOLD)
  if h.state == 'held' and not h.lapsed then
    local lease = tonumber(redis.call('ZSCORE', LEASES, id))
    if lease and lease <= now then lapse(h, lease) end
  end
  return h
end

-- From here on only writes.

-- The first write of what must work without memory: a script that has written may go on writing,
-- and this write is never refused.
local function begin_always()
  redis.call('ZREM', LEASES, '')
end

local function save_account(a)
  local win = {}
  for _, limit in ipairs(a.limits) do
    if limit.ms > 0 then
      win[#win + 1] = limit.window .. '=' .. whole(limit.sum.at) .. ',' .. text(limit.sum.spent)
    end
  end
  local fields = {'held', text(a.held), 'spent', text(a.spent)}
  if a.over[1] + a.over[2] + a.over[3] > 0 then
    fields[#fields + 1] = 'over'
    fields[#fields + 1] = text(a.over)
  end
  if #win > 0 then
    fields[#fields + 1] = 'win'
    fields[#fields + 1] = table.concat(win, ';')
  end
  for field, spent in pairs(a.buckets) do
    if spent[1] + spent[2] + spent[3] > 0 then
      fields[#fields + 1] = field
      fields[#fields + 1] = text(spent)
    end
  end
  redis.call('HSET', a.key, unpack(fields))
  if #a.gone > 0 then redis.call('HDEL', a.key, unpack(a.gone)) end
  if a.new then redis.call('SADD', PREFIX .. 'accounts', a.name) end
end

-- Writes the accounts and the lapsed holds, counts the call, and says how often that was done.
local function save(remember)
  for _, name in ipairs(names) do
    if accounts[name].dirty then save_account(accounts[name]) end
  end
  for _, h in ipairs(lapsed) do
    redis.call('ZREM', LEASES, h.id)
    if h.state == 'lapsed' then
      redis.call('HSET', h.key, 'state', 'lapsed')
      redis.call('PEXPIRE', h.key, remember)
    end
  end
  return whole(redis.call('HINCRBY', META, 'count', 1))
end
