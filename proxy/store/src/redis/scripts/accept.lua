local id, job, key, fingerprint, body, needs, trace, now, lease_end, keep_ms = unpack(ARGV, 1, 10)
local code, max_uses = ARGV[11], ARGV[12]
local mint = { unpack(ARGV, 13, 19) }
local bound = ARGV[20]

local taken = name('key', job .. ':' .. key)
local earlier = redis.call('GET', taken)
if earlier then
  local found = redis.call('HMGET', name('delivery', earlier), 'fingerprint', 'status', 'answer')
  if found[1] ~= fingerprint then return { 'conflict', earlier } end
  if not found[2] then return { 'same', earlier } end
  return { 'same', earlier, found[2], found[3] or '' }
end

if max_uses ~= '' then
  local uses = prefix .. 'code_uses'
  if tonumber(redis.call('HGET', uses, code) or '0') >= tonumber(max_uses) then return { 'used_up' } end
  redis.call('HINCRBY', uses, code, 1)
end
redis.call('SET', taken, id)

local minted = false
if mint[1] ~= '' then
  add_click(mint[1], mint[2], mint[3], mint[4], mint[5], mint[6], keep_ms)
  minted = add_click_delivery(mint[1], mint[7], mint[4], lease_end)
end

local state = 'due'
if needs ~= '' and redis.call('HGET', name('click', needs), 'upstream') == 'pending' then state = 'blocked' end
local delivery = name('delivery', id)
redis.call('HSET', delivery, 'job', job, 'key', key, 'fingerprint', fingerprint, 'body', body, 'trace', trace,
  'attempts', 0, 'created_at', now, 'state', state)
if needs ~= '' then
  redis.call('HSET', delivery, 'needs', needs)
  redis.call('SADD', name('needed_by', needs), id)
end
redis.call('ZADD', waiting, now, id)
if state == 'due' then redis.call('ZADD', outbox, lease_end, id) end

for i = 21, #ARGV do
  if redis.call('SET', name('customer', ARGV[i]), bound, 'NX', 'PX', keep_ms) then
    redis.call('ZADD', prefix .. 'customers', now, ARGV[i])
  end
end
return { 'new', minted and '1' or '0', state == 'due' and '1' or '0' }
