-- What all scripts begin with. KEYS[1] is the site's outbox; all other names are built from it and share its slot:
--   outbox            sorted set   deliveries that are due and that nobody holds, by when they may be claimed
--   held              sorted set   deliveries that somebody holds, by when the lease ends
--   state:STATE       sorted set   records in that state (due, blocked, orphan, delivered, dead, closed), by when they came in
--   delivery:ID       hash         a record: an entry or a click's delivery
--   key:SOURCE:JOB:KEY string      the id of the entry that took the key
--   sources           set          who has reported something
--   paid:SOURCE:NAME  sorted set   payments whose key or name that is, by when they came in
--   also:SOURCE:NAME  sorted set   other records of that name, by when they came in
--   credited:CLICK    sorted set   records that the click is credited with, by when they came in
--   upstream:ID       sorted set   payments that the platform calls so, by when they came in
--   links             sorted set   links between names, by when they were made: SOURCE:BYTES:NAME and the other name
--   linking           set          sources that have links
--   links:SOURCE:NAME sorted set   names that the name is linked to, by when
--   lane:PAYMENT      sorted set   refunds of the payment with that id, by when they came in
--   lane:upstream:ID  sorted set   refunds of a payment that only the platform knows, by when they came in
--   lost:NAME         sorted set   orphans that look for that name or record id, by when they came in
--   needed_by:CLICK   set          records that need the click and are neither delivered nor closed
--   click:ID          hash         a click
--   clicks            sorted set   clicks, by when they happened
--   visitor:KEY       sorted set   a visitor's clicks, by when they happened
--   customer:NAME     string       the click that a customer is bound to
--   customers         sorted set   customers, by when they were bound
--   order:NAME        hash         the click that bound an order, and the one that contested it
--   orders            sorted set   orders, by when they were bound
--   orders_of:CLICK   set          orders that the click bound or contested
--   code_uses         hash         how often each promo code was used
--   erasures          string       how often somebody was erased
--   probe             string       written to find out whether writing works
-- A full Redis refuses some commands only. Whether it does is decided when a script begins, so the first write of each
-- script is one that is refused, and then either all happens or nothing.
local prefix = string.sub(KEYS[1], 1, -7)
local call = redis.call
local function name(kind, rest) return prefix .. kind .. ':' .. rest end
local outbox, held = KEYS[1], prefix .. 'held'

-- While Cluster hands the slot over to another server, each key is at one of the two, and the call that meets a missing
-- one fails. This one is always missing: the script fails here, before it has written anything.
call('EXISTS', prefix .. 'nothing')

-- Puts a record into a state, with more fields of it.
local function become(id, state, was, created_at, ...)
  call('HSET', name('delivery', id), 'state', state, ...)
  call('ZADD', name('state', state), created_at, id)
  if was and was ~= state then call('ZREM', name('state', was), id) end
end

-- Makes a record due at that moment.
local function set_free(id, was, created_at, at)
  become(id, 'due', was, created_at, 'due_at', at)
  call('ZADD', outbox, at, id)
end

-- Finds the click by its visitor from now on.
local function know_visitor(id, visitor, created_at, keep_ms)
  if visitor == '' then return end
  call('ZADD', name('visitor', visitor), created_at, id)
  call('PEXPIRE', name('visitor', visitor), keep_ms)
end

-- Adds a click unless it is there; a visitor is added to one that is there without. Its delivery may have been settled
-- before it was written down: then it is resolved.
local function add_click(id, affiliate, visitor, created_at, upstream, value, keep_ms)
  local click = name('click', id)
  local known = call('HMGET', click, 'created_at', 'visitor')
  if known[1] then
    if visitor ~= '' and (known[2] or '') == '' then
      call('HSET', click, 'visitor', visitor)
      know_visitor(id, visitor, known[1], keep_ms)
    end
    return
  end
  if upstream == 'pending' then
    local early = call('HMGET', name('delivery', id), 'state', 'upstream_id', 'error')
    if early[1] == 'delivered' or early[1] == 'dead' or early[1] == 'closed' then
      upstream, value = 'refused', early[3] or ''
      if early[2] then upstream, value = 'known', early[2] end
    end
  end
  call('HSET', click, 'affiliate', affiliate, 'visitor', visitor, 'created_at', created_at,
    'upstream', upstream, 'value', value)
  call('PEXPIRE', click, keep_ms)
  call('ZADD', prefix .. 'clicks', created_at, id)
  know_visitor(id, visitor, created_at, keep_ms)
end

-- Adds a click's delivery unless it is there or the platform knows the click; true when it was added.
local function add_click_delivery(id, body, created_at, due_at)
  if call('HGET', name('click', id), 'upstream') ~= 'pending' then return false end
  if call('EXISTS', name('delivery', id)) == 1 then return false end
  become(id, 'due', nil, created_at, 'job', 'click', 'body', body, 'attempts', 0, 'created_at', created_at,
    'due_at', due_at)
  call('ZADD', outbox, due_at, id)
  return true
end
