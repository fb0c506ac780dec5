-- ARGV[1] now, ARGV[2] when the lease ends, then ids. Gives those that are still due, now held by the caller.
local claimed = {}
for i = 3, #ARGV do
  local id = ARGV[i]
  local score = redis.call('ZSCORE', outbox, id)
  if score and tonumber(score) <= tonumber(ARGV[1]) then
    local found = redis.call('HMGET', name('delivery', id), 'job', 'body', 'needs', 'attempts', 'created_at')
    if found[1] then
      redis.call('ZADD', outbox, ARGV[2], id)
      claimed[#claimed + 1] = { id, found[1], found[2], found[3] or '', found[4], found[5] }
    else
      -- Somebody deleted the delivery itself.
      redis.call('ZREM', outbox, id)
      redis.call('ZREM', waiting, id)
    end
  end
end
return claimed
