-- ARGV: 2 owner, 3 time to live, 4 term.
if now >= ends or holder ~= ARGV[2] or term ~= tonumber(ARGV[4]) then return 'lost' end
ends = now + ARGV[3]
return save()
