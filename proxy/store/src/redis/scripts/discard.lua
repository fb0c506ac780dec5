-- ARGV: id, why, now, when a lease from now ends. Gives whether there was one to close.
local id, why, now, lease_end = unpack(ARGV, 1, 4)
local found = call('HMGET', name('delivery', id), 'state', 'job', 'needs', 'lane', 'created_at', 'paid', 'awaits')
local state, job, needs, lane, created_at, paid, awaits = unpack(found, 1, 7)
if not state or state == 'delivered' or state == 'closed' then return 0 end
become(id, 'closed', state, created_at, 'error', why, 'settled_at', now)
call('ZREM', outbox, id)
call('ZREM', held, id)
if needs then call('SREM', name('needed_by', needs), id) end
if awaits then found_home(id, awaits) end
if paid then close_lane(id, why, now) end
-- It may be under way. What it gives back is written when it returns, and the next one has to know that.
if lane then advance(lane, state == 'due' and lease_end or now) end
if job == 'click' then resolve(id, '', why, now) end
return 1
