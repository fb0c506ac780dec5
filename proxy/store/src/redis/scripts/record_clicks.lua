-- ARGV[1] how long clicks are kept, in ms; then nine for each click:
-- id, affiliate, visitor, created_at, upstream, value, whether it has a delivery, its body, when that is due
for i = 2, #ARGV, 9 do
  local id, affiliate, visitor, created_at, upstream, value, has_delivery, body, due_at = unpack(ARGV, i, i + 8)
  add_click(id, affiliate, visitor, created_at, upstream, value, ARGV[1])
  if has_delivery == '1' then add_click_delivery(id, body, created_at, due_at) end
end
return #ARGV
