-- Take the cost of each claim from each of its windows, or nothing if one has not as much left; for
-- several requests, one after the other.
--
-- KEYS: one for each window. Its value is "<number> <current> <previous>": which fixed window was
-- the last that anything was taken from, what was taken in it, and what in the one before.
-- ARGV: for each key which request it is of, the window's amount, its milliseconds, and the cost.
-- The keys of a request stand together.
-- Returns for each key 1 if it was taken or 0, previous, current, elapsed milliseconds.

local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = {}

local function look(i)
  local amount, length = tonumber(ARGV[4 * i - 2]), tonumber(ARGV[4 * i - 1])
  local cost = tonumber(ARGV[4 * i])
  local number, elapsed = math.floor(now / length), now % length
  -- Whatever else stands there, a list for example, is overwritten as if there was nothing.
  local stored = redis.pcall("GET", KEYS[i])
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
  local spent = math.floor(previous * (length - elapsed) / length) + current
  return {
    key = KEYS[i], length = length, cost = cost, fits = spent + cost <= amount,
    number = number, current = current, previous = previous, elapsed = elapsed,
  }
end

local function take(windows, fits)
  for _, window in ipairs(windows) do
    if fits then
      window.current = window.current + window.cost
      local value = string.format("%d %d %d", window.number, window.current, window.previous)
      redis.call("SET", window.key, value, "PX", 2 * window.length)
    end
    table.insert(answer, fits and 1 or 0)
    table.insert(answer, window.previous)
    table.insert(answer, window.current)
    table.insert(answer, window.elapsed)
  end
end

local i = 1
while KEYS[i] do
  local request, windows, fits = ARGV[4 * i - 3], {}, true
  while KEYS[i] and ARGV[4 * i - 3] == request do
    local window = look(i)
    table.insert(windows, window)
    fits = fits and window.fits
    i = i + 1
  end
  take(windows, fits)
end
return answer
