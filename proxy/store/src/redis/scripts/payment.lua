-- ARGV: how the payment is named, by which source, the most names to follow, then its id or names. Gives its id, its
-- fields, and for each refund its id and its fields; or nothing.
local id = payment_of(ARGV[1], ARGV[2], { unpack(ARGV, 4) }, tonumber(ARGV[3]))
if not id then return {} end
local said = { { id, call('HMGET', name('delivery', id), 'paid', 'currency', 'state', 'upstream_id') } }
each_refund(id, function(refund)
  said[#said + 1] = { refund, call('HMGET', name('delivery', refund), 'state', 'basis', 'amount', 'refunded') }
end)
return said
