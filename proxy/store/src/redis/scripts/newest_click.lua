-- ARGV[1] the visitor, ARGV[2] since when. Gives the click's id and its fields, or nothing.
local newest = redis.call('HMGET', name('visitor', ARGV[1]), 'created_at', 'id')
if not newest[1] or tonumber(newest[1]) < tonumber(ARGV[2]) then return {} end
local found = redis.call('HMGET', name('click', newest[2]), 'affiliate', 'visitor', 'created_at', 'upstream', 'value')
if not found[1] then return {} end
return { newest[2], unpack(found, 1, 5) }
