"""What Redis does with the jobs, each step whole or not at all: Lua, run by Redis itself.

    tts:jobs:job:ID          a job: a hash
    tts:jobs:seq             the number of the job that was accepted last
    tts:jobs:owner:OWNER     somebody's jobs, by number; `keys:OWNER`: his idempotency keys, and whose they are
    tts:jobs:queued          what waits, by number; `queued:OWNER`: what waits of his
    tts:jobs:turns           owners of whom something waits, by their last turn; `turn:OWNER` has it while nothing does
    tts:jobs:running         what is being spoken, and by which instance
    tts:jobs:instance:TOKEN  an instance that is alive, since when; it expires unless it is renewed
    tts:jobs:instances       all of them, by when they were last seen; `folder`: which folder they share
    tts:jobs:unfinished      how many jobs of each owner have not ended; `promised`: the bytes that they may need
    tts:jobs:ended           what has ended, its caller told, by time
    tts:jobs:sweeping        somebody looks through all files
    tts:jobs:callbacks       owners who are to be told, by time; `callbacks:OWNER`: of which jobs

A job's `claim` grows by one each time that an instance takes it. Whoever reports must have the last: an instance that
others gave up, and that wakes up later, changes nothing.
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = "tts:jobs:"

_COMMON: Final = (
    f"local P = '{PREFIX}'"
    """
local call = redis.call
local function job(id) return P .. 'job:' .. id end
local function whole(number) return string.format('%.0f', number) end
local function now_s()
  local time = call('TIME')
  return string.format('%.6f', time[1] + time[2] / 1000000)
end
local function queue(id, owner, seq)
  call('HSET', job(id), 'state', 'queued', 'holder', '')
  call('ZADD', P .. 'queued', seq, id)
  call('ZADD', P .. 'queued:' .. owner, seq, id)
  if not call('ZSCORE', P .. 'turns', owner) then
    local turn = call('GET', P .. 'turn:' .. owner) or seq / 1000000000  -- newcomers first, in the order they came
    call('ZADD', P .. 'turns', turn, owner)
  end
end
local function leave_queue(id, owner)
  call('ZREM', P .. 'queued', id)
  call('ZREM', P .. 'queued:' .. owner, id)
  if call('EXISTS', P .. 'queued:' .. owner) == 0 then call('ZREM', P .. 'turns', owner) end
end
local function promise(id, room)
  local before = tonumber(call('HGET', job(id), 'room')) or 0
  call('INCRBY', P .. 'promised', whole(room - before))
  call('HSET', job(id), 'room', whole(room))
end
local function call_back(id, owner, due_s)
  local his = P .. 'callbacks:' .. owner
  if due_s then call('ZADD', his, due_s, id) else call('ZREM', his, id) end
  local first = call('ZRANGE', his, 0, 0, 'WITHSCORES')
  if first[1] then call('ZADD', P .. 'callbacks', first[2], owner) else call('ZREM', P .. 'callbacks', owner) end
end
local function forget(id)
  local of = call('HMGET', job(id), 'owner', 'idempotency_key')
  if of[2] ~= '' then
    call('HDEL', P .. 'keys:' .. of[1], of[2])
  end
  call('ZREM', P .. 'owner:' .. of[1], id)
  call('ZREM', P .. 'ended', id)
  call_back(id, of[1], nil)
  call('DEL', job(id))
end
"""
)

ADD: Final = (
    _COMMON
    + """
local id, owner, key, print, estimate = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local most, most_own, free = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
if call('EXISTS', job(id)) == 1 then return {'new', call('HGETALL', job(id))} end  -- it was heard, the answer was not
local before = key ~= '' and call('HGET', P .. 'keys:' .. owner, key)
if before then
  if call('HGET', job(before), 'fingerprint') ~= print then return {'conflict'} end
  return {'known', call('HGETALL', job(before))}
end
local own = tonumber(call('HGET', P .. 'unfinished', owner)) or 0
if own >= most_own then return {'too_many', own} end
local waiting = call('ZCARD', P .. 'queued') + call('HLEN', P .. 'running')
if waiting >= most then return {'full', waiting} end
local promised = tonumber(call('GET', P .. 'promised')) or 0
if promised + estimate > free then return {'no_room', promised} end
local seq = call('INCR', P .. 'seq')
call('HSET', job(id), 'id', id, 'owner', owner, 'seq', seq, 'idempotency_key', key, 'fingerprint', print,
  'estimate', ARGV[5], 'created_s', now_s(), 'claim', 0, 'file', 0, 'spoken', 0, 'samples', 0, 'pause', 0,
  'manner', ARGV[9], 'characters', ARGV[10], 'callback_url', ARGV[11], 'callback_state', 'waiting',
  'callback_attempts', 0)
call('ZADD', P .. 'owner:' .. owner, seq, id)
if key ~= '' then call('HSET', P .. 'keys:' .. owner, key, id) end
call('HINCRBY', P .. 'unfinished', owner, 1)
promise(id, estimate)
queue(id, owner, seq)
return {'new', call('HGETALL', job(id))}
"""
)

SOME: Final = (
    _COMMON
    + """
local found = {}
for number, id in ipairs(ARGV) do found[number] = call('HGETALL', job(id)) end
return found
"""
)

PAGE: Final = (
    _COMMON
    + """
local found = {}
local ids = call('ZREVRANGEBYSCORE', P .. 'owner:' .. ARGV[1], ARGV[3], '-inf', 'LIMIT', 0, ARGV[2])
for number, id in ipairs(ids) do found[number] = call('HGETALL', job(id)) end
return found
"""
)

KEEP_UP: Final = (
    _COMMON
    + """
local token, lease_ms, known = ARGV[1], tonumber(ARGV[2]), {}
for number = 3, #ARGV do known[ARGV[number]] = true end
local mine = P .. 'instance:' .. token
local since = call('GET', mine) or now_s()
call('SET', mine, since, 'PX', lease_ms)
call('ZADD', P .. 'instances', now_s(), token)
call('ZREMRANGEBYSCORE', P .. 'instances', '-inf', now_s() - 2 * lease_ms / 1000)
-- Who was away himself, for instance because Redis was, cannot tell who else is.
local can_tell = now_s() - since >= lease_ms / 1000
local resumed = 0
local running = call('HGETALL', P .. 'running')
for number = 1, #running, 2 do
  local id, holder = running[number], running[number + 1]
  local left = can_tell and call('EXISTS', P .. 'instance:' .. holder) == 0
  if holder == token then left = not known[id] end
  if left then
    local of = call('HMGET', job(id), 'owner', 'seq')
    call('HDEL', P .. 'running', id)
    queue(id, of[1], of[2])
    resumed = resumed + 1
  end
end
local lost = {}
for id in pairs(known) do
  local of = call('HMGET', job(id), 'state', 'holder')
  if of[1] == 'cancelled' or of[2] ~= token then lost[#lost + 1] = id end
end
return {resumed, lost}
"""
)

LEAVE: Final = (
    _COMMON
    + """
local running = call('HGETALL', P .. 'running')
for number = 1, #running, 2 do
  if running[number + 1] == ARGV[1] then
    local of = call('HMGET', job(running[number]), 'owner', 'seq')
    call('HDEL', P .. 'running', running[number])
    queue(running[number], of[1], of[2])
  end
end
call('DEL', P .. 'instance:' .. ARGV[1])
if call('GET', P .. 'sweeping') == ARGV[1] then call('DEL', P .. 'sweeping') end
call('ZREM', P .. 'instances', ARGV[1])
"""
)

TAKE: Final = (
    _COMMON
    + """
local token, owner = ARGV[1], call('ZRANGE', P .. 'turns', 0, 0)[1]
if not owner then return {} end
local id = call('ZRANGE', P .. 'queued:' .. owner, 0, 0)[1]
local turn = call('INCR', P .. 'turn')
call('SET', P .. 'turn:' .. owner, turn, 'EX', ARGV[2])
call('ZADD', P .. 'turns', turn, owner)
leave_queue(id, owner)
call('HINCRBY', job(id), 'claim', 1)
call('HSET', job(id), 'state', 'running', 'holder', token)
call('HSET', P .. 'running', id, token)
return call('HGETALL', job(id))
"""
)

ADVANCE: Final = (
    _COMMON
    + """
local id, of = ARGV[1], call('HMGET', job(ARGV[1]), 'state', 'claim', 'estimate')
if of[1] ~= 'running' or of[2] ~= ARGV[2] then return 0 end
call('HSET', job(id), 'spoken', ARGV[3], 'samples', ARGV[4], 'pause', ARGV[5], 'file', ARGV[2])
promise(id, math.max(0, of[3] - 2 * ARGV[4]))
return 1
"""
)

END: Final = (
    _COMMON
    + """
local id, state, claim = ARGV[1], ARGV[2], ARGV[3]
local of = call('HMGET', job(id), 'state', 'claim', 'owner', 'callback_url')
if claim ~= '' then
  if of[2] ~= claim then return 0 end
  if of[1] == state then return 1 end  -- it was heard, and the answer was not
  if of[1] ~= 'running' then return 0 end
elseif of[1] ~= 'queued' and of[1] ~= 'running' then
  return 0
end
leave_queue(id, of[3])
call('HDEL', P .. 'running', id)
promise(id, 0)
if call('HINCRBY', P .. 'unfinished', of[3], -1) <= 0 then call('HDEL', P .. 'unfinished', of[3]) end
local ended_s = now_s()
call('HSET', job(id), 'state', state, 'ended_s', ended_s, 'result_bytes', ARGV[4], 'error', ARGV[5])
if state == 'done' then
  call('HSET', job(id), 'file', claim, 'samples', ARGV[6], 'spoken', call('HGET', job(id), 'characters'))
end
if of[4] ~= '' and state ~= 'cancelled' then  -- who cancels knows
  call_back(id, of[3], ended_s)
else
  call('ZADD', P .. 'ended', ended_s, id)
end
return 1
"""
)

REMOVE: Final = (
    _COMMON
    + """
local state = call('HGET', job(ARGV[1]), 'state')
if state and state ~= 'queued' and state ~= 'running' then forget(ARGV[1]) end
"""
)

SWEEP: Final = (
    _COMMON
    + """
local ids = call('ZRANGEBYSCORE', P .. 'ended', '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[2])
for _, id in ipairs(ids) do forget(id) end
return #ids
"""
)

DUE: Final = (
    _COMMON
    + """
local now, limit, later_s, busy, found = ARGV[1], tonumber(ARGV[2]), ARGV[3], {}, {}
for number = 4, #ARGV do busy[ARGV[number]] = true end
for _, owner in ipairs(call('ZRANGEBYSCORE', P .. 'callbacks', '-inf', now, 'LIMIT', 0, limit + #ARGV - 3)) do
  if not busy[owner] and #found < limit then
    local id = call('ZRANGE', P .. 'callbacks:' .. owner, 0, 0)[1]
    call_back(id, owner, later_s)
    found[#found + 1] = call('HGETALL', job(id))
  end
end
return found
"""
)

CALLED_BACK: Final = (
    _COMMON
    + """
local id, again_s = ARGV[1], ARGV[3]
local of = call('HMGET', job(id), 'owner', 'ended_s')
if not of[1] then return end
call('HINCRBY', job(id), 'callback_attempts', 1)
call('HSET', job(id), 'callback_state', ARGV[2])
if again_s ~= '' then
  call_back(id, of[1], again_s)
else
  call_back(id, of[1], nil)
  call('ZADD', P .. 'ended', of[2], id)
end
"""
)

FOLDER: Final = (
    _COMMON
    + """
call('SET', P .. 'folder', ARGV[1], 'NX')
local alive = call('ZRANGEBYSCORE', P .. 'instances', now_s() - ARGV[2] / 1000, '+inf')
return {call('GET', P .. 'folder'), alive}
"""
)
