-- One session, one atomic step: take in what is new, then grant what may go.
--
-- Every operation of session-state is this script with other arguments: a reservation brings a record, an intent and what its
-- gateway shall be told, a turn record brings a record, the sweeper brings nothing.
--
-- Keys it owns
--   KEYS[1] turngate:session:<id>   hash: turn       the newest turn record, JSON
--                                         release    the outstanding release, JSON {id, until, configures, responds}
--                                         head:<seq> of a waiting intent: JSON {kind, since, answers}
--                                         body:<seq> the intent itself, JSON, never parsed here
--   KEYS[2] turngate:sessions       sorted set: session -> when its last record came (ms)
--   KEYS[3] turngate:waiting        sorted set: session -> when the sweeper should look at it (ms)
-- A key of somebody else's
--   KEYS[4] the stream of commands for the session's gateway, or ''; written to, and never made
-- Arguments
--   ARGV[1] session   ARGV[2] turn record JSON or ''   ARGV[3] seq of the intent or ''   ARGV[4] its kind
--   ARGV[5] its answers, a JSON array   ARGV[6] the intent JSON   ARGV[7] lease ms   ARGV[8] time to live ms
--   ARGV[9] the id for a release, if one is granted   ARGV[10] the most intents that may wait
--   ARGV[11] a command that answers the request, whatever becomes of it   ARGV[12] the command that carries out a release of
--   this very intent and no other   ARGV[13] the most entries of the stream
--   ARGV[14] the most bytes of intents that may wait; a single intent may be larger
-- Returns
--   {'granted', gateway, 1 if some were granted before and that lease has ended, intent JSON...} (no intents when ARGV[12] was
--   published and nothing is left to do), or {outcome, gateway}, the outcome being 'held', 'settled' (the intent is not needed any more), 'idle' (nothing waits), 'full' (the intent was not
--   taken) or 'unknown' (no record: not free).
--
-- session_state/rules.py is the same in Python; a test plays random histories through both.

local session_key, session = KEYS[1], ARGV[1]
local lease, ttl = tonumber(ARGV[7]), tonumber(ARGV[8])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function command(body)
  redis.call('XADD', KEYS[4], 'NOMKSTREAM', 'MAXLEN', '~', ARGV[13], '*', '__data__', body)
end
if KEYS[4] ~= '' then command(ARGV[11]) end

local function null(value) return value == nil or value == cjson.null end

local stored = {}
local flat = redis.call('HGETALL', session_key)
for i = 1, #flat, 2 do stored[flat[i]] = flat[i + 1] end

-- 1. The newest record wins, whatever the order of arrival.
local turn = stored.turn and cjson.decode(stored.turn)
local offered = ARGV[2] ~= '' and cjson.decode(ARGV[2]) or nil
local newer = offered ~= nil and (turn == nil or offered.version > turn.version)
if newer then turn = offered end
if turn == nil then
  redis.call('ZREM', KEYS[3], session)
  return { 'unknown', '' }
end
if turn.slot == 'closed' then
  -- All that stays is a small tombstone, for its time to live, so that an older record that comes late does not bring the session
  -- back. Deleting comes first: a script that has deleted something may write also when Redis is out of memory.
  redis.call('DEL', session_key)
  redis.call('ZREM', KEYS[2], session)
  redis.call('ZREM', KEYS[3], session)
  local tombstone = { session = session, gateway = turn.gateway, version = turn.version, slot = turn.slot }
  redis.call('HSET', session_key, 'turn', cjson.encode(tombstone))
  redis.call('PEXPIRE', session_key, ttl)
  return { 'settled', turn.gateway }
end
if newer then redis.call('HSET', session_key, 'turn', ARGV[2]) end
if offered then
  redis.call('ZADD', KEYS[2], now, session)
  redis.call('PEXPIRE', session_key, ttl)
end

-- 2. What is open, in the order of the client's asking. Everything else up to last_seq is settled.
local open, kind_of = {}, {}
for _, seq in ipairs(turn.open_configuration) do open[#open + 1] = seq; kind_of[seq] = 'configuration' end
for _, seq in ipairs(turn.open_responses) do open[#open + 1] = seq; kind_of[seq] = 'response' end
table.sort(open)
local configuring = not null(turn.configuring_seq) and turn.configuring_seq or 0
local function on_its_way(seq) return kind_of[seq] == 'configuration' and seq <= configuring end

-- 3. Forget intents that are settled, take the new one in.
local heads, waiting, bytes = {}, 0, 0
for field, value in pairs(stored) do
  local seq = tonumber(string.match(field, '^head:(%d+)$'))
  if seq then
    if seq <= turn.last_seq and not kind_of[seq] then
      redis.call('HDEL', session_key, field, 'body:' .. seq)
    else
      heads[seq] = cjson.decode(value)
      waiting = waiting + 1
      bytes = bytes + #(stored['body:' .. seq] or '')
    end
  end
end
local asked = tonumber(ARGV[3])
if asked then
  if asked <= turn.last_seq and not kind_of[asked] then
    asked = nil
  elseif not heads[asked] then
    local too_large = waiting > 0 and bytes + #ARGV[6] > tonumber(ARGV[14])
    if waiting >= tonumber(ARGV[10]) or too_large then return { 'full', turn.gateway } end
    heads[asked] = { kind = ARGV[4], since = now, answers = cjson.decode(ARGV[5]) }
    waiting = waiting + 1
    redis.call('HSET', session_key, 'head:' .. asked, cjson.encode(heads[asked]), 'body:' .. asked, ARGV[6])
    stored['body:' .. asked] = ARGV[6]
  end
end

-- 4. One release at a time, until its gateway has decided it, its intents are settled or on their way, or its lease ends. A
--    slot that is not free ends it too: it was either sent, or the gateway will drop it.
local free = turn.slot == 'idle' or turn.slot == 'unconfigured'
local release = stored.release and cjson.decode(stored.release)
local lost = {}
if release then
  if now >= release['until'] then
    for _, seq in ipairs(release.seqs) do lost[seq] = true end
  end
  local outstanding = false
  if free and now < release['until'] and turn.decided_release ~= release.id then
    for _, seq in ipairs(release.seqs) do
      if (kind_of[seq] or seq > turn.last_seq) and not on_its_way(seq) then outstanding = true end
    end
  end
  if not outstanding then
    redis.call('HDEL', session_key, 'release')
    release = nil
  end
end

-- 5. Grant everything that may go: in order, and nothing past an intent that is still on its way to us.
local grant = {}
if free and not release then
  local within_reach, answered = {}, {}
  for _, seq in ipairs(open) do
    local head = heads[seq]
    if not on_its_way(seq) then
      if not head or (head.kind == 'configuration' and configuring > 0) then break end
      within_reach[#within_reach + 1] = seq
      -- A result that this release cannot bring may not have reached the upstream when the release is sent.
      for _, call in ipairs(head.answers) do answered[call] = true end
    end
  end
  local calls_open = false
  for _, call in ipairs(turn.open_calls) do
    if not answered[call] then calls_open = true end
  end
  local silence_awaited = false
  for _, seq in ipairs(within_reach) do
    local head = heads[seq]
    if head.kind == 'configuration' then
      grant[#grant + 1] = seq
    elseif turn.slot == 'idle' and (#head.answers == 0 or not calls_open) then
      -- What interrupts the user interrupts nobody who was here before.
      silence_awaited = silence_awaited or (turn.user_speaking and head.kind ~= 'interruption')
      if not silence_awaited then grant[#grant + 1] = seq end
    end
  end
end

local look_again
local result
if #grant > 0 then
  redis.call('HSET', session_key, 'release', cjson.encode({ id = ARGV[9], ['until'] = now + lease, seqs = grant }))
  look_again = now + lease
  local alone = KEYS[4] ~= '' and #grant == 1 and grant[1] == asked
  if alone then command(ARGV[12]) end
  result = { 'granted', turn.gateway, 0 }
  for _, seq in ipairs(grant) do
    if lost[seq] then result[3] = 1 end
    if not alone then result[#result + 1] = stored['body:' .. seq] end
  end
elseif asked or (ARGV[3] == '' and waiting > 0) then
  look_again = release and release['until'] or now + lease
  result = { 'held', turn.gateway }
else
  result = { ARGV[3] ~= '' and 'settled' or 'idle', turn.gateway }
  look_again = release and release['until'] or now + lease
end
if waiting > 0 then
  redis.call('ZADD', KEYS[3], look_again, session)
else
  redis.call('ZREM', KEYS[3], session)
end
return result
