local id, job, verdict, now, due_at = unpack(ARGV, 1, 5)
local status, answer, upstream_id, error, body, created_at, keep_ms = unpack(ARGV, 6, 12)
local delivery = name('delivery', id)
local found = redis.call('HMGET', delivery, 'state', 'key', 'attempts', 'needs', 'created_at')
local state, key, attempts, needs = unpack(found, 1, 4)
if state == 'delivered' or state == 'dead' then return 0 end

if verdict == 'retry' or verdict == 'release' then
  if not state then return 0 end
  if verdict == 'retry' then
    redis.call('HSET', delivery, 'error', error, 'attempts', string.format('%d', tonumber(attempts) + 1))
  end
  if state == 'due' then redis.call('ZADD', outbox, due_at, id) end
  return 1
end

if not state then
  -- The answer to a live call can come before the click is written down: it is kept until then.
  if job ~= 'click' then return 0 end
  redis.call('HSET', delivery, 'job', job, 'body', body, 'attempts', 0, 'created_at', created_at)
else
  created_at = found[5]
end
redis.call('HSET', delivery, 'state', verdict, 'settled_at', now)
if status ~= '' then redis.call('HSET', delivery, 'status', status, 'answer', answer) end
if upstream_id ~= '' then redis.call('HSET', delivery, 'upstream_id', upstream_id) end
if error ~= '' then redis.call('HSET', delivery, 'error', error) end
redis.call('ZREM', outbox, id)
redis.call('ZREM', waiting, id)
if verdict == 'delivered' then
  redis.call('ZADD', settled, math.max(tonumber(now), tonumber(created_at)), id)
  redis.call('ZREMRANGEBYSCORE', settled, '-inf', tonumber(now) - tonumber(keep_ms))
  redis.call('PEXPIRE', delivery, keep_ms)
  if key then redis.call('PEXPIRE', name('key', job .. ':' .. key), keep_ms) end
  if needs then redis.call('SREM', name('needed_by', needs), id) end
else
  redis.call('ZADD', dead, now, id)
end
if job ~= 'click' then return 1 end

local click = name('click', id)
if redis.call('HGET', click, 'upstream') == 'pending' then
  if upstream_id ~= '' then
    redis.call('HSET', click, 'upstream', 'known', 'value', upstream_id)
  else
    redis.call('HSET', click, 'upstream', 'refused', 'value', error)
  end
end
for _, blocked in ipairs(redis.call('SMEMBERS', name('needed_by', id))) do
  if redis.call('HGET', name('delivery', blocked), 'state') == 'blocked' then
    redis.call('HSET', name('delivery', blocked), 'state', 'due')
    redis.call('ZADD', outbox, now, blocked)
  end
end
return 1
