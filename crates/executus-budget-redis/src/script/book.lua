
-- The whole: any number of accounts and windows, and holds that are over.

-- What this call has read: accounts, and the holds that it ends.
local accounts, known, lapsed = {}, 0, nil
local h, made, rare

-- An account: its sums as numbers 1 to 10; its limits packed, one after the other, each with the
-- length of its window (0 for the total), that of a bucket, how many count, and the most in four
-- dimensions; `w` the sums of windows, by the place of their limit.
local function account(name)
  for n = 1, known do
    if accounts[n].name == name then return accounts[n] end
  end
  local key = string.sub(META, 1, -5) .. 'a:' .. name
  local f, a = call('HMGET', key, 'sums', 'packed', 'windows'), nil
  local limits = f[2] or meta[4] or ''
  if f[1] then
    a = {name = name, key = key, limits = limits, dirty = false, open(SUMS, f[1])}
  else
    a = {name = name, key = key, limits = limits, dirty = false, new = true, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
  end
  -- Only one limit can be that of the total.
  if #limits > LIMIT_SIZE or limits ~= '' and open('<d', limits) > 0 then rare().windows(a, f[3]) end
  known = known + 1
  accounts[known] = a
  return a
end

-- What few calls need.
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

  -- The name of a window: that of its limit, as hosts write it.
  local function window(length, buckets)
    if length == 0 then return 'total' end
    return (buckets == 1 and 'fixed:' or 'rolling:') .. whole(length)
  end

  -- What was spent in a bucket of a rolling window.
  local function bucket(a, w, at)
    local name = 'b:' .. w.name .. ':' .. whole(at)
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
    a.w, a.buckets, a.gone = {}, {}, {}
    for place = 1, #a.limits, LIMIT_SIZE do
      local length, ms, buckets = open(LIMIT, a.limits, place)
      if length > 0 then
        local name, current = window(length, buckets), floor(now / ms)
        local w = sums[name] or {current, 0, 0, 0}
        w.name, w.ms, w.buckets = name, ms, buckets
        a.w[place] = w
        if current > w[1] then
          local first, last = max(w[1] - buckets + 1, 0), current - buckets
          local all = last >= w[1]
          last = min(last, w[1])
          if buckets > 1 and last >= first then
            local fields = {}
            for at = first, last do fields[#fields + 1] = 'b:' .. name .. ':' .. whole(at) end
            for n, spent in ipairs(call('HMGET', a.key, unpack(fields))) do
              if spent then
                local b1, b2, b3 = open(FOUR, spent)
                w[2], w[3], w[4] = max(w[2] - b1, 0), max(w[3] - b2, 0), max(w[4] - b3, 0)
                a.gone[#a.gone + 1] = fields[n]
              end
            end
          end
          if all then w[2], w[3], w[4] = 0, 0, 0 end
          w[1] = current
        end
      end
    end
  end

  -- Counts what was spent at a moment, in every window that the moment is still in.
  function made.count(a, spent, at)
    for _, w in pairs(a.w or {}) do
      local b = min(floor(at / w.ms), w[1])
      if b > w[1] - w.buckets then
        for n = 1, 3 do w[n + 1] = min(w[n + 1] + spent[n], MAX) end
        if w.buckets > 1 then
          local there = bucket(a, w, b)
          for n = 1, 3 do there[n] = min(there[n] + spent[n], MAX) end
        end
      end
    end
  end

  -- Writes the windows of an account.
  function made.save_windows(a)
    local sums = {}
    for _, w in pairs(a.w) do sums[w.name] = {w[1], w[2], w[3], w[4]} end
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
  function made.refusal(a, place, more)
    local l = {open(LIMIT, a.limits, place)}
    local item = window(l[1], l[3]) .. ',' .. made.text(l, 4)
    local w, buckets = a.w and a.w[place], {}
    if not w then
      buckets = {'0', made.text({a[5], a[6], a[7]})}
    elseif w.buckets == 1 then
      buckets = {whole(w[1]), made.text({w[2], w[3], w[4]})}
    else
      for b = max(w[1] - w.buckets + 1, 0), w[1] do
        local spent = bucket(a, w, b)
        if spent[1] + spent[2] + spent[3] > 0 then
          buckets[#buckets + 1] = whole(b)
          buckets[#buckets + 1] = made.text(spent)
        end
      end
    end
    return {'exceeded', a.name, item, made.text(more), made.text(a), whole(now), buckets}
  end

  -- Ends a hold whose lease ran out: what was charged is spent at the end of the lease.
  function made.lapse(over, at)
    if over.ending then return end
    over.ending = true
    if over.state == 'held' then
      local spent = {over[5], over[6], over[7]}
      for _, name in ipairs(over.accounts) do
        local a = account(name)
        for n = 1, 4 do a[n] = max(a[n] - over[n], 0) end
        for n = 1, 3 do a[n + 4] = min(a[n + 4] + spent[n], MAX) end
        made.count(a, spent, at)
        a.dirty = true
      end
      over.state = 'lapsed'
    end
    lapsed = lapsed or {}
    lapsed[#lapsed + 1] = over
  end

  -- Ends the holds of a list of ids and moments, each once.
  local ended = {}
  function made.reap(list)
    for n = 1, #list, 2 do
      local over = h
      if not h or h.id ~= list[n] then
        local key = string.sub(META, 1, -5) .. 'h:' .. list[n]
        local f = call('HMGET', key, 'state', 'accounts', 'sums')
        over = f[3] and {open(TWICE, f[3])} or {}
        over.id, over.key, over.state = list[n], key, f[1] or 'none'
        over.accounts = f[2] and made.split(f[2])
      end
      if not ended[list[n]] then
        ended[list[n]] = true
        made.lapse(over, tonumber(list[n + 1]))
      end
    end
  end

  -- Ends many. Returns whether there were more than those that are known already.
  function made.reap_many()
    local list = call('ZRANGEBYSCORE', LEASES, '-inf', now_text, 'WITHSCORES', 'LIMIT', 0, MANY)
    made.reap(list)
    return #list > #due
  end

  -- Writes the holds that are over. ZREM comes first: it is never refused, and after it nothing is.
  function made.save_lapsed(remember)
    for _, over in ipairs(lapsed) do
      call('ZREM', LEASES, over.id)
      if over.state == 'lapsed' then
        call('HSET', over.key, 'state', 'lapsed')
        call('PEXPIRE', over.key, remember)
      end
    end
  end

  return made
end

-- Writes the accounts and the holds that are over, and counts the call. Nothing is read after it.
local function save(remember)
  if lapsed then rare().save_lapsed(remember) end
  for n = 1, known do
    local a = accounts[n]
    if a.dirty then
      call('HSET', a.key, 'sums', pack(SUMS, unpack(a, 1, 10)))
      if a.w then rare().save_windows(a) end
      if a.new then call('SADD', string.sub(META, 1, -5) .. 'accounts', a.name) end
    end
  end
  local number = call('HINCRBY', META, 'count', 1)
  -- The epoch is told to those who know another.
  if epoch and epoch ~= ARGV[1] then return {'ok', number, epoch} end
  return {'ok', number}
end
