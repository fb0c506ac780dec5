-- ARGV: id, now. Gives whether there was a dead one of that id.
local id, now = ARGV[1], ARGV[2]
local delivery = name('delivery', id)
local found = call('HMGET', delivery, 'state', 'job', 'needs', 'lane', 'created_at', 'error', 'refunded')
local state, job, needs, lane, created_at, error, went_back = unpack(found, 1, 7)
-- Money that went back after all is not sent again.
if state ~= 'dead' or went_back then return 0 end
local to = 'due'
if lane then
  if standing(lane) ~= 'due' then to = 'blocked' end
elseif needs and call('HGET', name('click', needs), 'upstream') == 'pending' then
  to = 'blocked'
end
become(id, to, 'dead', created_at, 'attempts', 0, 'due_at', now)
call('HDEL', delivery, 'settled_at', 'status', 'answer', 'error')
if to == 'due' then call('ZADD', outbox, now, id) end
if job == 'click' then
  local click = call('HMGET', name('click', id), 'upstream', 'value')
  if click[1] == 'refused' and click[2] == error then
    call('HSET', name('click', id), 'upstream', 'pending', 'value', '')
  end
end
return 1
