-- Find the order in which events are put here, or begin one.
-- KEYS: the order, its events. ARGV: the run of this server; "1" to begin one in any case.
-- Returns its epoch and how many events it has had.
local order = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'sequence')
local epoch, run, sequence = order[1], order[2], order[3]
if not epoch or not tonumber(epoch) or not tonumber(sequence or '') then
  epoch = false
  redis.call('UNLINK', KEYS[2])
end
-- What a server had when it was started may be older than what it had told before.
if not epoch or run ~= ARGV[1] or ARGV[2] == '1' then
  local time = redis.call('TIME')
  local now = time[1] .. string.format('%06d', time[2])
  -- Events stand under epoch-sequence, and what comes later has to stand behind.
  if epoch and now <= epoch then
    now = string.format('%.0f', tonumber(epoch) + 1)
  end
  epoch, sequence = now, '0'
end
-- In any case, so that where nothing can be written, or something else stands, is not joined.
redis.call('XLEN', KEYS[2])
redis.call('HSET', KEYS[1], 'epoch', epoch, 'run', ARGV[1], 'sequence', sequence)
return {epoch, sequence}
