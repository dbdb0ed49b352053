-- ARGV: 2 owner, 3 time to live.
if now < ends then
  if holder ~= ARGV[2] then return 'taken' end
else
  -- Above the last one, also when this server forgot it.
  term, holder = math.max(term + 1, now), ARGV[2]
end
ends = now + ARGV[3]
return save()
