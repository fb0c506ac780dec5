-- What scripts about payments, refunds and their names have in common.

local function is_over(state) return state == 'delivered' or state == 'dead' or state == 'closed' end

-- A list that was written as JSON.
local function list_of(text)
  local read, list = pcall(cjson.decode, text or '[]')
  return read and type(list) == 'table' and list or {}
end

-- These names and those that they are linked to by the source, nearest first.
local function linked(source, names, most)
  local all, seen = {}, {}
  local function see(text)
    if not seen[text] and #all < most then seen[text], all[#all + 1] = true, text end
  end
  for _, text in ipairs(names) do see(text) end
  local at = 1
  while at <= #all do
    for _, other in ipairs(call('ZRANGE', name('links', source .. ':' .. all[at]), 0, most)) do see(other) end
    at = at + 1
  end
  return all
end

-- The id of the payment; nothing when it is not known. kind is record, upstream or named; of are an id or names.
local function payment_of(kind, source, of, most)
  if kind == 'record' then
    return call('HEXISTS', name('delivery', of[1]), 'paid') == 1 and of[1] or nil
  end
  if kind == 'upstream' then return call('ZRANGE', name('upstream', of[1]), 0, 0)[1] end
  local names = linked(source, of, most)
  for _, reporter in ipairs(source == 'api' and { source } or { source, 'api' }) do
    for _, text in ipairs(names) do
      local oldest = call('ZRANGE', name('paid', reporter .. ':' .. text), 0, 0)[1]
      if oldest then return oldest end
    end
  end
end

-- Whether a lane is that of a payment that only the platform knows.
local function is_upstream(lane) return string.sub(lane, 1, 9) == 'upstream:' end

-- What a lane waits for: its payment's state, and why when that is closed. The platform decides about payments that it
-- alone knows.
local function gate(lane)
  if is_upstream(lane) then return 'delivered' end
  local found = call('HMGET', name('delivery', lane), 'state', 'error')
  return found[1], found[2]
end

-- Refunds of a lane, the oldest first: what to do with each id, its state and when it came in, until that says true.
local function each_refund(lane, visit)
  local all = call('ZRANGE', name('lane', lane), 0, -1, 'WITHSCORES')
  for i = 1, #all, 2 do
    if visit(all[i], call('HGET', name('delivery', all[i]), 'state'), all[i + 1]) then return true end
  end
  return false
end

-- How a refund stands that joins the lane now, and why when that is closed.
local function standing(lane)
  local state, why = gate(lane)
  if state == 'closed' then return 'closed', why or '' end
  if state ~= 'delivered' then return 'blocked' end
  return each_refund(lane, function(_, other) return other == 'due' end) and 'blocked' or 'due'
end

-- Makes the oldest blocked refund of a lane due at that moment, unless another one is due or the payment is not delivered.
local function advance(lane, at)
  if gate(lane) ~= 'delivered' then return end
  local next_id, came_in
  local busy = each_refund(lane, function(id, state, created_at)
    if state == 'blocked' and not next_id then next_id, came_in = id, created_at end
    return state == 'due'
  end)
  if next_id and not busy then set_free(next_id, 'blocked', came_in, at) end
end

-- Closes the refunds of a payment that wait or are dead.
local function close_lane(lane, why, now)
  each_refund(lane, function(id, state, created_at)
    if state == 'due' or state == 'blocked' or state == 'dead' then
      become(id, 'closed', state, created_at, 'error', why, 'settled_at', now)
      call('ZREM', outbox, id)
      call('ZREM', held, id)
    end
  end)
end

-- An orphan is one no longer.
local function found_home(id, awaits)
  for _, text in ipairs(list_of(awaits)) do call('ZREM', name('lost', text), id) end
  call('HDEL', name('delivery', id), 'awaits', 'awaits_kind')
end

-- The orphans that look for one of these names or ids and find their payments by now join them, the oldest first.
local function adopt(names, most, now)
  local seen, orphans = {}, {}
  for _, text in ipairs(names) do
    local found = call('ZRANGE', name('lost', text), 0, -1, 'WITHSCORES')
    for i = 1, #found, 2 do
      if not seen[found[i]] then
        seen[found[i]] = true
        orphans[#orphans + 1] = { found[i], found[i + 1] }
      end
    end
  end
  table.sort(orphans, function(a, b)
    if a[2] == b[2] then return a[1] < b[1] end
    return tonumber(a[2]) < tonumber(b[2])
  end)
  for _, orphan in ipairs(orphans) do
    local id, created_at = orphan[1], orphan[2]
    local found = call('HMGET', name('delivery', id), 'source', 'awaits_kind', 'awaits')
    local lane = found[2] and payment_of(found[2], found[1], list_of(found[3]), most)
    if lane then
      local state, why = gate(lane)
      call('ZADD', name('lane', lane), created_at, id)
      if state == 'closed' then
        become(id, 'closed', 'orphan', created_at, 'lane', lane, 'error', why or '', 'settled_at', now)
      else
        become(id, 'blocked', 'orphan', created_at, 'lane', lane)
      end
      found_home(id, found[3])
      advance(lane, now)
    end
  end
end

-- Says what the platform calls a click, once, and sets free what waits for that. A refund waits for its payment alone.
local function resolve(id, upstream_id, error, now)
  local click = name('click', id)
  if call('HGET', click, 'upstream') == 'pending' then
    if upstream_id ~= '' then
      call('HSET', click, 'upstream', 'known', 'value', upstream_id)
    else
      call('HSET', click, 'upstream', 'refused', 'value', error)
    end
  end
  for _, needing in ipairs(call('SMEMBERS', name('needed_by', id))) do
    local found = call('HMGET', name('delivery', needing), 'state', 'created_at', 'basis')
    if found[1] == 'blocked' and not found[3] then set_free(needing, 'blocked', found[2], now) end
  end
end
