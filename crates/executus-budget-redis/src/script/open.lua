-- What all scripts of the budget begin with: what they are told, and what every one reads.
--
-- KEYS[1] meta, KEYS[2] leases, KEYS[3] the hold, where there is one; keys of accounts and of
-- holds that lapse are made from the same prefix, and are in the same slot by its hash tag.
-- ARGV[1] the epoch that the caller knows, ARGV[2] the count that it saw last.
--
-- Every script has two halves: first everything is read and reckoned, then everything is written.
-- A script that fails halfway keeps what it wrote before, so nothing may fail in the second half.
--
-- This runs before every decision, so it is spare: numbers are packed (doubles, little endian), and
-- after it comes a part that does the most common case of a call alone, with neither a table nor a
-- function of its own: to make one costs as much as half a command. What that part does not do
-- falls through to the whole.
local META, LEASES, HOLD = KEYS[1], KEYS[2], KEYS[3]
local MAX = 9007199254740991
-- How many holds one call ends at most whose lease ran out: the cost of a call has a bound.
local FEW, MANY = 16, 256
-- Of an account: held (4), spent (3), overrun (3). Of a hold: held (4), charged (4).
local SUMS, TWICE, FOUR = '<dddddddddd', '<dddddddd', '<dddd'
local LIMIT, LIMIT_SIZE = '<ddddddd', 56

local call, floor, min, max = redis.call, math.floor, math.min, math.max
local pack, open = struct.pack, struct.unpack

-- Milliseconds, as a text too: a number is dear to write.
local clock = call('TIME')
local now_text = clock[1] .. string.sub('00000' .. clock[2], -6, -4)
local now = tonumber(now_text)

local meta = call('HMGET', META, 'epoch', 'count', 'lost', 'packed')
local epoch = meta[1]
-- A server that has counted less than this caller saw has gone back in time: it was restored from
-- an older state, or a replica took over that had not heard everything.
local rolled_back = epoch and epoch == ARGV[1] and (tonumber(meta[2]) or 0) < tonumber(ARGV[2])
local usable = epoch and not meta[3] and not rolled_back
-- Holds whose lease ran out, and when; most calls find none.
local due = call('ZRANGEBYSCORE', LEASES, '-inf', now_text, 'WITHSCORES', 'LIMIT', 0, FEW)
