-- ARGV: the names below; the click that is minted and its delivery's body, or seven times nothing; then lists, each after its
-- length: names, what a refund is of, customers; then the record's other fields.
local id, source, job, key, fingerprint, now, send, due_at, lease_end, why = unpack(ARGV, 1, 10)
local needs, click, is_payment, refund_of, keep_ms, most, code, max_uses, bound = unpack(ARGV, 11, 19)
most = tonumber(most)
local mint = { unpack(ARGV, 20, 26) }
local at = 26
local function list()
  local all = { unpack(ARGV, at + 2, at + 1 + tonumber(ARGV[at + 1])) }
  at = at + 1 + #all
  return all
end
local names, of, customers = list(), list(), list()

local taken = name('key', source .. ':' .. job .. ':' .. key)
local earlier = call('GET', taken)
if earlier then
  local found = call('HMGET', name('delivery', earlier), 'fingerprint', 'state', 'status', 'answer')
  if found[1] ~= fingerprint then return { 'conflict', earlier } end
  return { 'same', earlier, found[2] or '', found[3] or '', found[4] or '' }
end

-- A payment is one piece of work, whatever job tells of it: the platform may keep those apart, and pay for each.
if is_payment == '1' then
  for _, other in ipairs({ 'conversion', 'event', 'segment' }) do
    local known = call('GET', name('key', source .. ':' .. other .. ':' .. key))
    if known and call('HEXISTS', name('delivery', known), 'paid') == 1 then return { 'conflict', known } end
  end
end

if max_uses ~= '' then
  local uses = prefix .. 'code_uses'
  if tonumber(call('HGET', uses, code) or '0') >= tonumber(max_uses) then return { 'used_up' } end
  call('HINCRBY', uses, code, 1)
end
call('SET', taken, id)
call('SADD', prefix .. 'sources', source)

local minted = false
if mint[1] ~= '' then
  add_click(mint[1], mint[2], mint[3], mint[4], mint[5], mint[6], keep_ms)
  minted = add_click_delivery(mint[1], mint[7], mint[4], due_at)
  if minted and send == 'now' then
    call('ZADD', held, lease_end, mint[1])
    call('ZREM', outbox, mint[1])
  end
end

local state, error, lane = 'due', nil, nil
if refund_of ~= '' then
  lane = payment_of(refund_of, source, of, most)
  if not lane and refund_of == 'upstream' then lane = 'upstream:' .. of[1] end
end
if send == 'never' then
  state, error = 'closed', why
elseif lane then
  state, error = standing(lane)
elseif refund_of ~= '' then
  state = 'orphan'
elseif needs ~= '' and call('HGET', name('click', needs), 'upstream') == 'pending' then
  state = 'blocked'
end

become(id, state, nil, now, 'attempts', 0, 'due_at', due_at, unpack(ARGV, at + 1))
if state == 'due' and send == 'now' then
  call('ZADD', held, lease_end, id)
elseif state == 'due' then
  call('ZADD', outbox, due_at, id)
end
if state == 'closed' then call('HSET', name('delivery', id), 'error', error, 'settled_at', now) end
if needs ~= '' then
  call('HSET', name('delivery', id), 'needs', needs)
  if state ~= 'closed' then call('SADD', name('needed_by', needs), id) end
end
if lane then
  call('HSET', name('delivery', id), 'lane', lane)
  call('ZADD', name('lane', lane), now, id)
end
if state == 'orphan' then
  -- A table that is empty would be encoded as an object.
  local awaits = #of == 0 and '[]' or cjson.encode(of)
  call('HSET', name('delivery', id), 'awaits_kind', refund_of, 'awaits', awaits)
  for _, text in ipairs(of) do call('ZADD', name('lost', text), now, id) end
end

for _, text in ipairs(names) do call('ZADD', name(is_payment == '1' and 'paid' or 'also', source .. ':' .. text), now, id) end
if click ~= '' then call('ZADD', name('credited', click), now, id) end
if is_payment == '1' then
  call('ZADD', name('paid', source .. ':' .. key), now, id)
  if call('EXISTS', name('state', 'orphan')) == 1 then
    names[#names + 1] = key
    local looked_for = linked(source, names, most)
    -- Everybody looks for what the merchant's servers reported, through links of their own.
    if source == 'api' then
      for _, other in ipairs(call('SMEMBERS', prefix .. 'linking')) do
        for _, text in ipairs(linked(other, names, most)) do looked_for[#looked_for + 1] = text end
      end
    end
    looked_for[#looked_for + 1] = id
    adopt(looked_for, most, now)
  end
end

for _, customer in ipairs(customers) do
  if call('SET', name('customer', customer), bound, 'NX', 'PX', keep_ms) then
    call('ZADD', prefix .. 'customers', now, customer)
  end
end
return { 'new', minted and send == 'now' and '1' or '0', state == 'due' and send == 'now' and '1' or '0', lane or '' }
