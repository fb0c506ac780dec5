-- ARGV[1] now, ARGV[2] how many at most. What was held until now may be claimed again, by when it was due. How many.
local over = call('ZRANGEBYSCORE', held, '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, id in ipairs(over) do
  call('ZADD', outbox, call('HGET', name('delivery', id), 'due_at') or ARGV[1], id)
  call('ZREM', held, id)
end
return #over
