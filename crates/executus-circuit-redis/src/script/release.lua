-- ARGV: 2 owner, 3 term.
if now >= ends or holder ~= ARGV[2] or term ~= tonumber(ARGV[3]) then return 'lost' end
ends = 0
return save()
