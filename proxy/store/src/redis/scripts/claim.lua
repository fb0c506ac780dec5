-- ARGV[1] now, ARGV[2] when the lease ends, then ids. Gives those that are still due, now held by the caller: id, fields.
local claimed = {}
for i = 3, #ARGV do
  local id = ARGV[i]
  local score = call('ZSCORE', outbox, id)
  if score and tonumber(score) <= tonumber(ARGV[1]) then
    local found = call('HGETALL', name('delivery', id))
    if #found > 0 then
      call('ZADD', held, ARGV[2], id)
      claimed[#claimed + 1] = { id, found }
    else
      -- Somebody deleted the delivery itself.
      call('ZREM', name('state', 'due'), id)
    end
    call('ZREM', outbox, id)
  end
end
return claimed
