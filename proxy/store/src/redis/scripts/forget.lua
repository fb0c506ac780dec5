-- ARGV: what, before, how many to pass over, how many to look at. Gives how many were removed and how many stay.
local what, before, from, count = unpack(ARGV, 1, 4)
local index = prefix .. what
local removed, kept = 0, 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', '(' .. before, 'LIMIT', from, count)) do
  local stays = false
  if what == 'settled' then
    local found = redis.call('HMGET', name('delivery', id), 'job', 'key')
    if found[2] then redis.call('DEL', name('key', found[1] .. ':' .. found[2])) end
    redis.call('DEL', name('delivery', id))
  elseif what == 'customers' then
    redis.call('DEL', name('customer', id))
  elseif redis.call('ZSCORE', waiting, id) or redis.call('ZSCORE', dead, id)
    or redis.call('EXISTS', name('needed_by', id)) == 1 then
    stays = true
  else
    local visitor = redis.call('HGET', name('click', id), 'visitor')
    if visitor and visitor ~= '' then redis.call('ZREM', name('visitor', visitor), id) end
    redis.call('DEL', name('click', id))
  end
  if stays then
    kept = kept + 1
  else
    redis.call('ZREM', index, id)
    removed = removed + 1
  end
end
return { removed, kept }
