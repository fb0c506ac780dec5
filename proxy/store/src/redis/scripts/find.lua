-- ARGV[1] a name, ARGV[2] how many at most, then the words for jobs. Gives the ids that go by the name, in no order.
local text = ARGV[1]
local seen, ids = {}, {}
local function see(id)
  if id and not seen[id] then seen[id], ids[#ids + 1] = true, id end
end
local function see_all(key)
  for _, id in ipairs(call('ZRANGE', key, 0, ARGV[2] - 1)) do see(id) end
end
if call('EXISTS', name('delivery', text)) == 1 then see(text) end
see_all(name('credited', text))
see_all(name('upstream', text))
see_all(name('lost', text))
for _, source in ipairs(call('SMEMBERS', prefix .. 'sources')) do
  see_all(name('paid', source .. ':' .. text))
  see_all(name('also', source .. ':' .. text))
  for i = 3, #ARGV do see(call('GET', name('key', source .. ':' .. ARGV[i] .. ':' .. text))) end
end
return ids
