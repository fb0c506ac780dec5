-- ARGV: what, before, how many to pass over, how many to look at. Gives how many were removed, how many stay, and how many
-- were looked at.
local what, before, from, count = unpack(ARGV, 1, 4)
local index = prefix .. what
local removed, kept = 0, 0

-- Removes a record and all that leads to it.
local function remove(id)
  local delivery = name('delivery', id)
  local found = call('HMGET', delivery, 'state', 'source', 'job', 'key', 'names', 'click', 'upstream_id', 'lane', 'awaits')
  local state, source, job, key, names, click, upstream_id, lane, awaits = unpack(found, 1, 9)
  call('DEL', delivery, name('lane', id))
  if state then call('ZREM', name('state', state), id) end
  if key then
    call('DEL', name('key', source .. ':' .. job .. ':' .. key))
    call('ZREM', name('paid', source .. ':' .. key), id)
    for _, text in ipairs(list_of(names)) do
      call('ZREM', name('paid', source .. ':' .. text), id)
      call('ZREM', name('also', source .. ':' .. text), id)
    end
  end
  if click then call('ZREM', name('credited', click), id) end
  if upstream_id then call('ZREM', name('upstream', upstream_id), id) end
  if lane then call('ZREM', name('lane', lane), id) end
  if awaits then found_home(id, awaits) end
  removed = removed + 1
end

local function is_past(id)
  local found = call('HMGET', name('delivery', id), 'state', 'created_at', 'settled_at')
  return (found[1] == 'delivered' or found[1] == 'closed') and tonumber(found[2] or '0') < tonumber(before)
    and tonumber(found[3] or '0') < tonumber(before)
end

-- A payment and its refunds go together; a refund of a payment that is known waits for that.
local function forget_record(id, state)
  local found = call('HMGET', name('delivery', id), 'job', 'paid', 'lane')
  if state == 'orphan' then return remove(id) end
  if state == 'dead' then
    local settled_at = call('HGET', name('delivery', id), 'settled_at')
    if found[1] ~= 'click' or tonumber(settled_at or '0') >= tonumber(before)
      or call('EXISTS', name('needed_by', id)) == 1 then
      return 'stays'
    end
    return remove(id)
  end
  local refund_of_known = found[3] and not is_upstream(found[3])
    and call('EXISTS', name('delivery', found[3])) == 1
  if not is_past(id) or refund_of_known then return 'stays' end
  if found[2] then
    if each_refund(id, function(refund, state_of) return state_of and not is_past(refund) end) then return 'stays' end
    each_refund(id, function(refund) remove(refund) end)
  end
  return remove(id)
end

local forgotten = {
  clicks = function(id)
    local state = call('HGET', name('delivery', id), 'state')
    local waits = state == 'due' or state == 'blocked' or state == 'dead'
    if waits or call('EXISTS', name('needed_by', id)) == 1 then return 'stays' end
    local visitor = call('HGET', name('click', id), 'visitor')
    if visitor and visitor ~= '' then call('ZREM', name('visitor', visitor), id) end
    call('DEL', name('click', id))
    removed = removed + 1
  end,
  customers = function(id)
    call('DEL', name('customer', id))
    removed = removed + 1
  end,
  orders = function(id)
    for _, click in ipairs(call('HMGET', name('order', id), 'click', 'contested_by')) do
      if click then call('SREM', name('orders_of', click), id) end
    end
    call('DEL', name('order', id))
    removed = removed + 1
  end,
  links = function(member)
    local source, bytes, rest = string.match(member, '^([^:]*):(%d+):(.*)$')
    local text, other = string.sub(rest, 1, bytes), string.sub(rest, bytes + 1)
    if not call('ZSCORE', index, source .. ':' .. #other .. ':' .. other .. text) then
      call('ZREM', name('links', source .. ':' .. text), other)
      call('ZREM', name('links', source .. ':' .. other), text)
    end
    removed = removed + 1
  end,
}

local looked = call('ZRANGEBYSCORE', index, '-inf', '(' .. before, 'LIMIT', from, count)
local state = string.match(what, '^state:(.*)$')
for _, id in ipairs(looked) do
  local fate
  if not state then
    fate = forgotten[what](id)
  elseif call('EXISTS', name('delivery', id)) == 1 then
    fate = forget_record(id, state)
  end
  if fate == 'stays' then kept = kept + 1 else call('ZREM', index, id) end
end
return { removed, kept, #looked }
