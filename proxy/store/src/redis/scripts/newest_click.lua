-- ARGV[1] the visitor, ARGV[2] since when. Gives the click's id and its fields, or nothing.
local newest = redis.call('ZREVRANGEBYSCORE', name('visitor', ARGV[1]), '+inf', ARGV[2], 'LIMIT', 0, 1)[1]
if not newest then return {} end
local found = redis.call('HMGET', name('click', newest), 'affiliate', 'visitor', 'created_at', 'upstream', 'value')
if not found[1] then return {} end
return { newest, unpack(found, 1, 5) }
