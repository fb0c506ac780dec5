-- ARGV: now, how many to pass over, how many to look at. Gives how many are due now and how many keep their time.
local hastened, kept = 0, 0
local later = call('ZRANGEBYSCORE', outbox, '(' .. ARGV[1], '+inf', 'LIMIT', ARGV[2], ARGV[3])
for _, id in ipairs(later) do
  local found = call('HMGET', name('delivery', id), 'job', 'attempts')
  if found[2] == '0' and (found[1] == 'click' or found[1] == 'refund') then
    kept = kept + 1
  else
    call('HSET', name('delivery', id), 'due_at', ARGV[1])
    call('ZADD', outbox, ARGV[1], id)
    hastened = hastened + 1
  end
end
return { hastened, kept }
