-- ARGV[1] says what: click, customer or record. Gives how many clicks, orders, customers and records that were.
local what, id = ARGV[1], ARGV[2]
local clicks, orders, customers, records = 0, 0, 0, 0

-- ARGV: what, customer, and the click that the binding must be of, if any.
local function remove_customer(customer, of)
  local key = name('customer', customer)
  local bound = call('GET', key)
  if not bound or (of and bound ~= of) then return end
  call('DEL', key)
  call('ZREM', prefix .. 'customers', customer)
  customers = customers + 1
end

local function remove_click()
  local visitor = call('HGET', name('click', id), 'visitor')
  if visitor and visitor ~= '' then call('ZREM', name('visitor', visitor), id) end
  local was = call('DEL', name('click', id)) == 1
  call('ZREM', prefix .. 'clicks', id)
  local found = call('HMGET', name('delivery', id), 'state', 'job')
  if is_over(found[1]) and found[2] == 'click' then
    call('DEL', name('delivery', id))
    call('ZREM', name('state', found[1]), id)
    was = true
  end
  if was then clicks = 1 end
  for _, order in ipairs(call('SMEMBERS', name('orders_of', id))) do
    local key = name('order', order)
    local bound = call('HMGET', key, 'click', 'contested_by')
    if bound[1] == id then
      if bound[2] and bound[2] ~= '' then call('SREM', name('orders_of', bound[2]), order) end
      call('DEL', key)
      call('ZREM', prefix .. 'orders', order)
      orders = orders + 1
    elseif bound[2] == id then
      call('HSET', key, 'contested_by', '')
    end
  end
  call('DEL', name('orders_of', id), name('needed_by', id))
end

-- ARGV: what, id, body, trace, answer, error, the names that stay, and how many go with those.
local function blot()
  local delivery = name('delivery', id)
  local found = call('HMGET', delivery, 'state', 'source', 'click', 'needs')
  local state, source, click, needs = unpack(found, 1, 4)
  if state ~= 'delivered' and state ~= 'closed' then return end
  call('HSET', delivery, 'body', ARGV[3])
  for i, field in ipairs({ 'trace', 'answer', 'error', 'names' }) do
    local text = ARGV[3 + i]
    if text ~= '' then call('HSET', delivery, field, text) else call('HDEL', delivery, field) end
  end
  call('HDEL', delivery, 'click', 'needs', 'log')
  if click then call('ZREM', name('credited', click), id) end
  if needs then call('SREM', name('needed_by', needs), id) end
  for i = 8, #ARGV do
    call('ZREM', name('paid', (source or '') .. ':' .. ARGV[i]), id)
    call('ZREM', name('also', (source or '') .. ':' .. ARGV[i]), id)
  end
  records = 1
end

if what == 'click' then
  remove_click()
elseif what == 'customers' then
  for i = 3, #ARGV do remove_customer(ARGV[i], id ~= '' and id or nil) end
else
  blot()
end
return { clicks, orders, customers, records }
