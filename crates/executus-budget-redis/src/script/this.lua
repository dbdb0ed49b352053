
-- The hold of this call, ARGV[3], as it is written; with the line that the call is about.
local id = ARGV[3]
local f = call('HMGET', HOLD, 'state', 'accounts', 'sums', line)
-- Most calls find nothing that is over, and a hold of one account.
local plain = not due[1] and not string.find(f[2] or '', '\n', 1, true)
