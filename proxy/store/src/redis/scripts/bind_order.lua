-- ARGV: order, click, now, how many orders a click may bind, how long a binding is kept in ms. Gives whether it is bound.
local order, click, now, most, keep_ms = unpack(ARGV, 1, 5)
local key, mine = name('order', order), name('orders_of', click)
local bound = call('HMGET', key, 'click', 'contested_by')
if bound[1] == click or bound[2] then return 1 end
if call('SCARD', mine) >= tonumber(most) then return 0 end
if bound[1] then
  call('HSET', key, 'contested_by', click)
else
  call('HSET', key, 'click', click, 'at', now)
  call('PEXPIRE', key, keep_ms)
  call('ZADD', prefix .. 'orders', now, order)
end
call('SADD', mine, order)
call('PEXPIRE', mine, keep_ms)
return 1
