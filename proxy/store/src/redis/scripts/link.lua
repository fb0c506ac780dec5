-- ARGV: source, a name, the one that it is linked to, now, the most names to follow.
local source, text, other, now, most = unpack(ARGV, 1, 5)
most = tonumber(most)
if text == other then return 0 end
local member = source .. ':' .. #text .. ':' .. text .. other
if call('ZSCORE', prefix .. 'links', member) then return 0 end
call('ZADD', prefix .. 'links', now, member)
call('SADD', prefix .. 'linking', source)
call('ZADD', name('links', source .. ':' .. text), 'NX', now, other)
call('ZADD', name('links', source .. ':' .. other), 'NX', now, text)
if call('EXISTS', name('state', 'orphan')) == 1 then adopt(linked(source, { text, other }, most), most, now) end
return 1
