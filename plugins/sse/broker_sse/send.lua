-- Put events at the end of an order, unless it is another one by now.
-- KEYS: the order, its events. ARGV: the epoch, how many events to keep, how they are written, and
-- each of them. Returns whether they are there.
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then
  return 0
end
local last = redis.call('HINCRBY', KEYS[1], 'sequence', #ARGV - 3)
for i = 4, #ARGV do
  local id = string.format('%s-%.0f', ARGV[1], last - #ARGV + i)
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], id, ARGV[3], ARGV[i])
end
return 1
