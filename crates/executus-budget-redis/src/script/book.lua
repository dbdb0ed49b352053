-- What all scripts of the budget begin with: the book, read before anything is written.
--
-- KEYS[1] meta, KEYS[2] leases, KEYS[3] the hold, where there is one; keys of accounts and of
-- holds that lapse are made from the same prefix, and are in the same slot by its hash tag.
-- ARGV[1] the epoch that the caller knows, ARGV[2] the count that it saw last.
--
-- Every script has two halves: first everything is read and reckoned, then everything is written.
-- A script that fails halfway keeps what it wrote before, so nothing may fail in the second half.
--
-- This runs before every decision, so it is spare: numbers are packed (little endian, 8 bytes
-- each), and what few calls need is made only for them, in `rare`.
local META, LEASES, HOLD = KEYS[1], KEYS[2], KEYS[3]
local MAX = 9007199254740991
-- How many holds one call ends at most whose lease ran out: the cost of a call has a bound.
local FEW, MANY = 16, 256
-- Of an account: held (4), spent (3), overrun (3). Of a hold: held (4), charged (4).
local SUMS, TWICE, FOUR = '<I8I8I8I8I8I8I8I8I8I8', '<I8I8I8I8I8I8I8I8', '<I8I8I8I8'

local call, floor, min, max = redis.call, math.floor, math.min, math.max
local pack, open = struct.pack, struct.unpack

local clock = call('TIME')
local now = clock[1] * 1000 + floor(clock[2] / 1000)

local meta = call('HMGET', META, 'epoch', 'count', 'lost', 'packed')
local epoch = meta[1]
-- A server that has counted less than this caller saw has gone back in time: it was restored from
-- an older state, or a replica took over that had not heard everything.
local rolled_back = epoch and epoch == ARGV[1] and (tonumber(meta[2]) or 0) < tonumber(ARGV[2])
local usable = epoch and not meta[3] and not rolled_back
-- Holds whose lease ran out, and when; most calls find none.
local due = call('ZRANGEBYSCORE', LEASES, '-inf', now, 'WITHSCORES', 'LIMIT', 0, FEW)

-- What this call has read: accounts and holds by name, and the holds that it ends.
local accounts, names, holds, lapsed = {}, {}, {}, nil
local rare

-- An account: its sums as numbers 1 to 10; `limits` is flat, seven to a limit: window, length of a
-- bucket (0 for the total), buckets, and the most in four dimensions; `w` the sums of windows.
local function account(name)
  local a = accounts[name]
  if a then return a end
  local key = string.sub(META, 1, -5) .. 'a:' .. name
  local f = call('HMGET', key, 'sums', 'packed', 'windows')
  a = f[1] and {open(SUMS, f[1])} or {0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
  a.name, a.key, a.new = name, key, not f[1]
  local packed = f[2] or meta[4]
  local limits = packed and cmsgpack.unpack(packed) or {}
  a.limits = limits
  for i = 2, #limits, 7 do
    if limits[i] > 0 then
      rare().windows(a, f[3])
      break
    end
  end
  accounts[name] = a
  names[#names + 1] = a
  return a
end

-- Counts what was spent at a moment: for ever, and in every window that the moment is still in.
local function count(a, spent, at)
  a[5], a[6], a[7] = min(a[5] + spent[1], MAX), min(a[6] + spent[2], MAX), min(a[7] + spent[3], MAX)
  if a.w then rare().count(a, spent, at) end
end

local function hold(a, more)
  a[1], a[2] = min(a[1] + more[1], MAX), min(a[2] + more[2], MAX)
  a[3], a[4] = min(a[3] + more[3], MAX), min(a[4] + more[4], MAX)
  a.dirty = true
end

local function let_go(a, held)
  a[1], a[2] = max(a[1] - held[1], 0), max(a[2] - held[2], 0)
  a[3], a[4] = max(a[3] - held[3], 0), max(a[4] - held[4], 0)
  a.dirty = true
end

-- Counts what no hold covered.
local function overrun(a, over)
  a[8], a[9], a[10] = min(a[8] + over[1], MAX), min(a[9] + over[2], MAX), min(a[10] + over[3], MAX)
end

-- The place of the first limit that does not cover `more`.
local function exceeded(a, more)
  local limits = a.limits
  for i = 1, #limits, 7 do
    local s1, s2, s3 = a[5], a[6], a[7]
    if limits[i + 1] > 0 then
      local w = a.w[i]
      s1, s2, s3 = w[2], w[3], w[4]
    end
    local m = limits[i + 3]
    if more[1] > 0 and m < MAX and a[1] + s1 + more[1] > m then return i end
    m = limits[i + 4]
    if more[2] > 0 and m < MAX and a[2] + s2 + more[2] > m then return i end
    m = limits[i + 5]
    if more[3] > 0 and m < MAX and a[3] + s3 + more[3] > m then return i end
    m = limits[i + 6]
    if more[4] > 0 and m < MAX and a[4] + more[4] > m then return i end
  end
end

-- A hold: what is held as 1 to 4, what was charged as 5 to 8, and one of its lines.
local function hold_of(id, key, line)
  local h = holds[id]
  if h then return h end
  local f = call('HMGET', key, 'state', 'accounts', 'sums', line)
  h = f[3] and {open(TWICE, f[3])} or {0, 0, 0, 0, 0, 0, 0, 0}
  h.id, h.key, h.state = id, key, f[1] or 'none'
  h.line = f[4] and {open(FOUR, f[4])} or {0, 0, 0, 0}
  if f[2] then
    if string.find(f[2], '\n', 1, true) then
      h.accounts = rare().split(f[2])
    else
      h.accounts = {f[2]}
    end
  end
  holds[id] = h
  return h
end

-- The hold of this call, ended if its lease ran out.
local function this_hold(id, line)
  local h = hold_of(id, HOLD, line)
  if due[1] then
    rare().reap(due)
    if #due == 2 * FEW and h.state == 'held' then
      local lease = tonumber(call('ZSCORE', LEASES, id))
      if lease and lease <= now then rare().lapse(h, lease) end
    end
  end
  return h
end

-- What few calls need.
local made
function rare()
  if made then return made end
  made = {}
  local format = string.format
  local function whole(n) return format('%.0f', n) end

  function made.text(a, from)
    from = from or 1
    return format('%.0f,%.0f,%.0f,%.0f', a[from], a[from + 1], a[from + 2], a[from + 3] or 0)
  end

  function made.split(list)
    local parts = {}
    for part in string.gmatch(list, '[^\n]+') do parts[#parts + 1] = part end
    -- A caller's name may be empty: its account is the first.
    if string.sub(list, 1, 1) == '\n' or list == '' then table.insert(parts, 1, '') end
    return parts
  end

  local function field(a, i, at) return 'b:' .. a.limits[i] .. ':' .. whole(at) end

  -- What was spent in a bucket of a rolling window.
  local function bucket(a, i, at)
    local name = field(a, i, at)
    local known = a.buckets[name]
    if not known then
      local packed = call('HGET', a.key, name)
      known = packed and {open(FOUR, packed)} or {0, 0, 0, 0}
      a.buckets[name] = known
    end
    return known
  end

  -- Reads the sums of the windows, and moves them on to now: that costs nothing unless a bucket has
  -- ended since. A sum is {bucket, tokens, runtime, cost}.
  function made.windows(a, packed)
    local sums = packed and cmsgpack.unpack(packed) or {}
    local limits = a.limits
    a.w, a.buckets, a.gone = {}, {}, {}
    for i = 1, #limits, 7 do
      local ms, buckets = limits[i + 1], limits[i + 2]
      if ms > 0 then
        local current = floor(now / ms)
        local sum = sums[limits[i]] or {current, 0, 0, 0}
        a.w[i] = sum
        if current > sum[1] then
          local first, last = max(sum[1] - buckets + 1, 0), current - buckets
          local all = last >= sum[1]
          last = min(last, sum[1])
          if buckets > 1 and last >= first then
            local fields = {}
            for at = first, last do fields[#fields + 1] = field(a, i, at) end
            for n, spent in ipairs(call('HMGET', a.key, unpack(fields))) do
              if spent then
                local b1, b2, b3 = open(FOUR, spent)
                sum[2], sum[3], sum[4] = max(sum[2] - b1, 0), max(sum[3] - b2, 0), max(sum[4] - b3, 0)
                a.gone[#a.gone + 1] = fields[n]
              end
            end
          end
          if all then sum[2], sum[3], sum[4] = 0, 0, 0 end
          sum[1] = current
        end
      end
    end
  end

  function made.count(a, spent, at)
    local limits = a.limits
    for i, sum in pairs(a.w) do
      local b = min(floor(at / limits[i + 1]), sum[1])
      if b > sum[1] - limits[i + 2] then
        for n = 1, 3 do sum[n + 1] = min(sum[n + 1] + spent[n], MAX) end
        if limits[i + 2] > 1 then
          local known = bucket(a, i, b)
          for n = 1, 3 do known[n] = min(known[n] + spent[n], MAX) end
        end
      end
    end
  end

  -- Writes the windows of an account.
  function made.save_windows(a)
    local sums = {}
    for i, sum in pairs(a.w) do sums[a.limits[i]] = sum end
    local fields = {'windows', cmsgpack.pack(sums)}
    for name, spent in pairs(a.buckets) do
      if spent[1] + spent[2] + spent[3] > 0 then
        fields[#fields + 1] = name
        fields[#fields + 1] = pack(FOUR, spent[1], spent[2], spent[3], 0)
      end
    end
    call('HSET', a.key, unpack(fields))
    if #a.gone > 0 then call('HDEL', a.key, unpack(a.gone)) end
  end

  -- The refusal: what its reader needs to say what is left and when there will be more.
  function made.refusal(a, i, more)
    local limits, buckets = a.limits, {}
    local item = limits[i] .. ',0,0,' .. made.text(limits, i + 3)
    if limits[i + 1] == 0 then
      buckets = {'0', made.text({a[5], a[6], a[7]})}
    elseif limits[i + 2] == 1 then
      buckets = {whole(a.w[i][1]), made.text({a.w[i][2], a.w[i][3], a.w[i][4]})}
    else
      for b = max(a.w[i][1] - limits[i + 2] + 1, 0), a.w[i][1] do
        local spent = bucket(a, i, b)
        if spent[1] + spent[2] + spent[3] > 0 then
          buckets[#buckets + 1] = whole(b)
          buckets[#buckets + 1] = made.text(spent)
        end
      end
    end
    return {'exceeded', a.name, item, made.text(more), made.text(a), whole(now), buckets}
  end

  -- Ends a hold whose lease ran out: what was charged is spent at the end of the lease.
  function made.lapse(h, at)
    if h.ending then return end
    h.ending = true
    if h.state == 'held' then
      local spent = {h[5], h[6], h[7]}
      for _, name in ipairs(h.accounts) do
        local a = account(name)
        let_go(a, h)
        count(a, spent, at)
      end
      h.state = 'lapsed'
    end
    lapsed = lapsed or {}
    lapsed[#lapsed + 1] = h
  end

  -- Ends the holds of a list of ids and moments.
  function made.reap(list)
    for n = 1, #list, 2 do
      made.lapse(hold_of(list[n], string.sub(META, 1, -5) .. 'h:' .. list[n], 'l:'), tonumber(list[n + 1]))
    end
  end

  -- Ends many. Returns whether there were more than those that are known already.
  function made.reap_many()
    local list = call('ZRANGEBYSCORE', LEASES, '-inf', now, 'WITHSCORES', 'LIMIT', 0, MANY)
    made.reap(list)
    return #list > #due
  end

  -- Writes the holds that are over. ZREM comes first: it is never refused, and after it nothing is.
  function made.save_lapsed(remember)
    for _, h in ipairs(lapsed) do
      call('ZREM', LEASES, h.id)
      if h.state == 'lapsed' then
        call('HSET', h.key, 'state', 'lapsed')
        call('PEXPIRE', h.key, remember)
      end
    end
  end
  return made
end

-- From here on only writes.

-- Writes the accounts and the holds that are over, and counts the call.
local function save(remember)
  if lapsed then rare().save_lapsed(remember) end
  for n = 1, #names do
    local a = names[n]
    if a.dirty then
      call('HSET', a.key, 'sums', pack(SUMS, unpack(a, 1, 10)))
      if a.w then rare().save_windows(a) end
      if a.new then call('SADD', string.sub(META, 1, -5) .. 'accounts', a.name) end
    end
  end
  return call('HINCRBY', META, 'count', 1)
end

-- Writes what was found on the way, and answers.
local function answer(what, remember)
  if lapsed then save(remember) end
  return what
end

-- What a call that was applied answers; the epoch only to those who know another.
local function done(number)
  if epoch and epoch ~= ARGV[1] then return {'ok', number, epoch} end
  return {'ok', number}
end
