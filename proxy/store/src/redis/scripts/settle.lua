local id, job, verdict, now, due_at, status, answer, upstream_id, error, refunded = unpack(ARGV, 1, 10)
local log, body, created_at = unpack(ARGV, 11, 13)
local delivery = name('delivery', id)
local found = call('HMGET', delivery, 'state', 'attempts', 'needs', 'created_at', 'paid', 'lane', 'basis', 'refunded')
local state, attempts, needs, came_in, paid, lane, basis, went_back = unpack(found, 1, 8)
if is_over(state) then
  -- Somebody else settled it while it was under way, and that stays; but money that went back did go back.
  if state ~= 'delivered' and refunded ~= '' and basis and not went_back then
    call('HSET', delivery, 'refunded', refunded)
  end
  return 0
end
if state == 'orphan' then return 0 end

if verdict == 'retry' or verdict == 'release' then
  if not state then return 0 end
  call('HSET', delivery, 'due_at', due_at)
  if verdict == 'retry' then
    call('HSET', delivery, 'error', error, 'log', log,
      'attempts', string.format('%d', (tonumber(attempts) or 0) + 1))
  end
  if state == 'due' then
    call('ZADD', outbox, due_at, id)
    call('ZREM', held, id)
  end
  return 1
end

if not state then
  -- The answer to a live call can come before the click is written down: it is kept until then.
  if job ~= 'click' then return 0 end
  call('HSET', delivery, 'job', job, 'body', body, 'attempts', 0, 'created_at', created_at, 'due_at', now)
  came_in = created_at
end
become(id, verdict, state, came_in or now, 'settled_at', now, 'log', log)
for field, value in pairs({ status = status, answer = status ~= '' and answer or '', upstream_id = upstream_id,
  error = error, refunded = refunded }) do
  if value ~= '' then call('HSET', delivery, field, value) else call('HDEL', delivery, field) end
end
call('ZREM', outbox, id)
call('ZREM', held, id)
if needs and verdict ~= 'dead' then call('SREM', name('needed_by', needs), id) end

if paid and verdict == 'delivered' then
  if upstream_id ~= '' then
    call('ZADD', name('upstream', upstream_id), came_in, id)
    each_refund('upstream:' .. upstream_id, function(refund, _, since)
      call('HSET', name('delivery', refund), 'lane', id)
      call('ZADD', name('lane', id), since, refund)
    end)
    call('DEL', name('lane', 'upstream:' .. upstream_id))
  end
  advance(id, now)
elseif paid and verdict == 'closed' then
  close_lane(id, error, now)
end
if lane then advance(lane, now) end
if job == 'click' then resolve(id, upstream_id, error, now) end
return 1
