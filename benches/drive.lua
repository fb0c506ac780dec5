-- What wrk sends, and what it prints when it is done. Arguments after the URL: METHOD BODY same|new FIRST-VISITOR.
-- "new" makes every request a visitor of its own, by the address that a trusted proxy passes on.

local MOST = 2000000 -- visitors that one thread may make in one run

local threads = 0
function setup(thread)
  thread:set("id", threads)
  threads = threads + 1
end

function init(args)
  wrk.method = args[1]
  if args[2] ~= "" then wrk.body = args[2] end
  if args[3] ~= "new" then return end

  wrk.headers["X-Forwarded-For"] = "@"
  local before, after = wrk.format():match("^(.-)@(.*)$")
  local visitor = tonumber(args[4]) + id * MOST
  request = function()
    visitor = visitor + 1
    local a, b = math.floor(visitor / 16777216), math.floor(visitor / 65536) % 256
    local c, d = math.floor(visitor / 256) % 256, visitor % 256
    return before .. (11 + a) .. "." .. b .. "." .. c .. "." .. d .. after
  end
end

function done(summary, latency, requests)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format('\nMEASURED {"requests":%d,"duration_us":%d,"p99_us":%d,"failed":%d}\n',
    summary.requests, summary.duration, latency:percentile(99), failed))
end
