-- Take the cost of each claim from each of its windows, or nothing if one has not as much left.
--
-- KEYS: one for each window. Its value is "<number> <current> <previous>": which fixed window was
-- the last that anything was taken from, what was taken in it, and what in the one before.
-- ARGV: for each key the window's amount, its milliseconds, and the cost.
-- Returns 1 if it was taken or 0, then for each key: previous, current, elapsed milliseconds.

local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local taken = 1
local windows = {}

for i, key in ipairs(KEYS) do
  local amount, length = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1])
  local cost = tonumber(ARGV[3 * i])
  local number, elapsed = math.floor(now / length), now % length
  -- Whatever else stands there, a list for example, is overwritten as if there was nothing.
  local stored = redis.pcall("GET", key)
  if type(stored) ~= "string" then
    stored = ""
  end
  local last, current, previous = string.match(stored, "^(%d+) (%d+) (%d+)$")
  last, current, previous = tonumber(last or 0), tonumber(current or 0), tonumber(previous or 0)
  if last > number then
    -- After a failover: this server's clock is behind that of the one before.
    number, elapsed = last, 0
  elseif last == number - 1 then
    current, previous = 0, current
  elseif last < number then
    current, previous = 0, 0
  end
  if math.floor(previous * (length - elapsed) / length) + current + cost > amount then
    taken = 0
  end
  windows[i] = {
    key = key, length = length, cost = cost,
    number = number, current = current, previous = previous, elapsed = elapsed,
  }
end

local answer = { taken }
for _, window in ipairs(windows) do
  if taken == 1 then
    window.current = window.current + window.cost
    local value = string.format("%d %d %d", window.number, window.current, window.previous)
    redis.call("SET", window.key, value, "PX", 2 * window.length)
  end
  table.insert(answer, window.previous)
  table.insert(answer, window.current)
  table.insert(answer, window.elapsed)
end
return answer
