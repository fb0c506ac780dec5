-- What all scripts begin with. KEYS[1] is the site's outbox; all other names are built from it and share its slot:
--   outbox          sorted set   deliveries that are due or held, by when they may be claimed
--   waiting         sorted set   deliveries that are not settled, by when they came in
--   settled         sorted set   delivered ones, by when nothing about them was new any more
--   dead            sorted set   deliveries that failed for good, by when
--   delivery:ID     hash         an entry or a click's delivery; `state` is due, blocked, delivered or dead
--   key:JOB:KEY     string       the id of the entry that took the key
--   needed_by:CLICK set          deliveries that need the click and are not delivered
--   click:ID        hash         a click
--   clicks          sorted set   clicks, by when they happened
--   visitor:KEY     sorted set   a visitor's clicks, by when they happened
--   customer:NAME   string       the click that a customer is bound to
--   customers       sorted set   customers, by when they were bound
--   code_uses       hash         how often each promo code was used
-- A full Redis refuses some commands only. Whether it does is decided when a script begins, so each script first
-- calls one that is refused, and then either all happens or nothing.
local prefix = string.sub(KEYS[1], 1, -7)
local function name(kind, rest) return prefix .. kind .. ':' .. rest end
local outbox, waiting, settled, dead = KEYS[1], prefix .. 'waiting', prefix .. 'settled', prefix .. 'dead'

-- Adds a click unless it is there. Its delivery may have been settled before it was written down: then it is resolved.
local function add_click(id, affiliate, visitor, created_at, upstream, value, keep_ms)
  local click = name('click', id)
  if redis.call('EXISTS', click) == 1 then return end
  if upstream == 'pending' then
    local early = redis.call('HMGET', name('delivery', id), 'state', 'upstream_id', 'error')
    if early[1] == 'delivered' or early[1] == 'dead' then
      upstream, value = 'refused', early[3] or ''
      if early[2] then upstream, value = 'known', early[2] end
    end
  end
  redis.call('HSET', click, 'affiliate', affiliate, 'visitor', visitor, 'created_at', created_at,
    'upstream', upstream, 'value', value)
  redis.call('PEXPIRE', click, keep_ms)
  redis.call('ZADD', prefix .. 'clicks', created_at, id)
  if visitor == '' then return end
  redis.call('ZADD', name('visitor', visitor), created_at, id)
  redis.call('PEXPIRE', name('visitor', visitor), keep_ms)
end

-- Adds a click's delivery unless it is there or the platform knows the click; true when it was added.
local function add_click_delivery(id, body, created_at, score)
  local delivery = name('delivery', id)
  if redis.call('HGET', name('click', id), 'upstream') ~= 'pending' then return false end
  if redis.call('EXISTS', delivery) == 1 then return false end
  redis.call('HSET', delivery, 'job', 'click', 'body', body, 'attempts', 0, 'created_at', created_at, 'state', 'due')
  redis.call('ZADD', outbox, score, id)
  redis.call('ZADD', waiting, created_at, id)
  return true
end
