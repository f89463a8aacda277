-- The reservation rule: who may use a session's slot now, and what has to wait. This script is the only program that changes
-- the keys of sessions. Redis runs it as one atomic step: nothing else happens in between, and it is never run in part.
--
-- In words
--   A session's gateway says in its turn record what the slot is doing and which of the client's requests are open. What a
--   request needs a free slot for is an intent: a change of configuration, or a response. Each call of this script takes in what
--   is new, and then grants everything that may go as one release.
--   1. Of two turn records of one epoch, the one with the higher version counts. What comes from an older epoch has no effect:
--      another gateway owns the session since (owners.lua), and nothing is granted until its first record is here. A session
--      that has closed keeps nothing but a small mark.
--   2. An intent is open while the turn record lists its number (seq), or has not got as far as that number. Others are settled.
--   3. Settled intents are forgotten, and the new one is held, unless too many wait already ('full').
--   4. There is one release at a time. It ends when the gateway has decided it, when nothing in it is open any more, when the
--      slot is in use, when its epoch is over, or when its lease ends; then it may be granted again.
--   5. If the slot is free and no release is outstanding, intents are granted in the order of their numbers:
--      - nothing goes past an open intent that has not arrived here yet;
--      - configuration waits for configuration that the upstream has not confirmed yet;
--      - a response waits until the session is configured and, if it answers a function call, until no other call is unanswered;
--      - a response waits while the user speaks, with every response behind it; only one that interrupts the user does not.
--   The sweeper looks at a session again when the lease ends, as long as something waits.
--   Whoever watches the session is told what came of it (docs/adr/0014-watching-sessions.md). Otherwise nothing is made for that.
--
-- Lua in short: `local x` declares a variable; a table is a list, counted from 1, or a map; #t is a list's length; .. joins texts;
-- ~= is "not equal"; nil is "nothing". `redis.call` runs a command; `cjson` reads and writes JSON.
--
-- Keys that it owns
--   KEYS[1] turngate:session:<id>   hash: turn        the newest turn record, JSON
--                                         epoch       the newest epoch, written by owners.lua; missing before the first claim
--                                         release     the outstanding release, JSON {id, epoch, until, seqs}
--                                         head:<seq>  of an intent that waits: JSON {kind, since, answers}
--                                         body:<seq>  the intent itself, JSON, never parsed here
--   KEYS[2] turngate:sessions       sorted set: session -> when its last record came (ms)
--   KEYS[3] turngate:waiting        sorted set: session -> when the sweeper should look at it (ms)
-- A key of another process, only for a reservation
--   KEYS[4] the stream of commands for the session's gateway; written to, and never created
-- Its only argument is a JSON object
--   session, release_id              the session, and the id of the release, if one is granted
--   lease_ms, ttl_ms                 how long a release, and the record of a silent session, are kept
--   intents_max, intents_max_bytes   the most intents that may wait, and their bytes; a single intent may be larger
--   stream_max_length                the most entries of the stream
--   watch                            the channel of those who watch all sessions; followed by : and an id, that of one session
--   record                           a turn record, as JSON in a string; left out by the sweeper
--   intent                           {seq, kind, answers, body}, the body being JSON in a string; only for a reservation
--   answer, alone                    commands, as JSON in strings: one for the gateway in any case, and one that carries out a
--                                    release of this very intent and no other; only for a reservation
-- It returns {outcome, gateway}, the outcome being
--   'granted'  followed by the epoch, 1 if some of it was granted before and that lease has ended, else 0, and the bodies of the
--              intents; without bodies if `alone` was written, so that nothing is left to do
--   'held'     something waits             'settled'  the intent is not needed any more      'idle'  nothing waits
--   'full'     the intent was not taken    'unknown'  there is no record, which does not mean that the slot is free
--   'fenced'   the record is of an older epoch

local given = cjson.decode(ARGV[1])
local session_key, session, intent = KEYS[1], given.session, given.intent
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function command(body)
  redis.call('XADD', KEYS[4], 'NOMKSTREAM', 'MAXLEN', '~', given.stream_max_length, '*', '__data__', body)
end

local function null(value) return value == nil or value == cjson.null end

-- Publish the session as its hash describes it, without the bodies of intents, to those who watch it. An error here, such as
-- that of a user who may not publish, is no reason to fail.
local function tell(turn_json, epoch, heads, release)
  local channels = { given.watch, given.watch .. ':' .. session }
  local listeners = redis.pcall('PUBSUB', 'NUMSUB', channels[1], channels[2])
  local news
  for i, channel in ipairs(channels) do
    if (listeners[2 * i] or 0) > 0 then
      if not news then
        local fields = { turn = turn_json, epoch = epoch, release = release and cjson.encode(release) }
        for seq, head in pairs(heads) do fields['head:' .. seq] = cjson.encode(head) end
        news = cjson.encode({ now = now, fields = fields })
      end
      redis.pcall('PUBLISH', channel, news)
    end
  end
end

local stored = {}
local flat = redis.call('HGETALL', session_key)
for i = 1, #flat, 2 do stored[flat[i]] = flat[i + 1] end

-- 1. The newest record wins, whatever the order of arrival.
local turn = stored.turn and cjson.decode(stored.turn)
local offered = given.record and cjson.decode(given.record)
local function epoch_of(record) return record and record.epoch or 0 end
local newest_epoch = math.max(epoch_of(turn), tonumber(stored.epoch) or 0)
if offered and epoch_of(offered) < newest_epoch then return { 'fenced', offered.gateway } end
if intent then command(given.answer) end
local next_epoch = turn and epoch_of(offered) > epoch_of(turn)
local newer = offered and (not turn or next_epoch or offered.version > turn.version)
if newer then turn = offered end
if not turn then
  redis.call('ZREM', KEYS[3], session)
  return { 'unknown', '' }
end
if turn.slot == 'closed' then
  -- All that stays is a small tombstone, for its time to live, so that an older record that comes late does not bring the session
  -- back. Deleting comes first: a script that has deleted something may write also when Redis is out of memory.
  redis.call('DEL', session_key)
  redis.call('ZREM', KEYS[2], session)
  redis.call('ZREM', KEYS[3], session)
  local tombstone = {
    session = session, gateway = turn.gateway, epoch = epoch_of(turn), version = turn.version, slot = turn.slot,
  }
  redis.call('HSET', session_key, 'turn', cjson.encode(tombstone))
  if stored.epoch then redis.call('HSET', session_key, 'epoch', stored.epoch) end
  redis.call('PEXPIRE', session_key, given.ttl_ms)
  if newer then tell(given.record, stored.epoch, {}, nil) end
  return { 'settled', turn.gateway }
end
if newer then redis.call('HSET', session_key, 'turn', given.record) end
if offered then
  redis.call('ZADD', KEYS[2], now, session)
  redis.call('PEXPIRE', session_key, given.ttl_ms)
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
local asked = intent and intent.seq
if asked then
  if asked <= turn.last_seq and not kind_of[asked] then
    asked = nil
  elseif not heads[asked] then
    local too_large = waiting > 0 and bytes + #intent.body > given.intents_max_bytes
    if waiting >= given.intents_max or too_large then return { 'full', turn.gateway } end
    heads[asked] = { kind = intent.kind, since = now, answers = intent.answers }
    waiting = waiting + 1
    redis.call('HSET', session_key, 'head:' .. asked, cjson.encode(heads[asked]), 'body:' .. asked, intent.body)
    stored['body:' .. asked] = intent.body
  end
end

-- 4. One release at a time, until its gateway has decided it, its intents are settled or on their way, or its lease ends. A
--    slot that is not free ends it too: it was either sent, or the gateway will drop it.
local owned = epoch_of(turn) >= newest_epoch
local free = owned and (turn.slot == 'idle' or turn.slot == 'unconfigured')
local release = stored.release and cjson.decode(stored.release)
local lost = {}
if release then
  if now >= release['until'] then
    for _, seq in ipairs(release.seqs) do lost[seq] = true end
  end
  local outstanding = false
  if (release.epoch or 0) == epoch_of(turn) and free and now < release['until'] and turn.decided_release ~= release.id then
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

-- 6. Say what came of it, and when the sweeper should look again.
local look_again = release and release['until'] or now + given.lease_ms
local result
if #grant > 0 then
  local granted = { id = given.release_id, epoch = epoch_of(turn), ['until'] = look_again, seqs = grant }
  redis.call('HSET', session_key, 'release', cjson.encode(granted))
  release = granted
  local alone = #grant == 1 and grant[1] == asked
  if alone then command(given.alone) end
  result = { 'granted', turn.gateway, epoch_of(turn), 0 }
  for _, seq in ipairs(grant) do
    if lost[seq] then result[4] = 1 end
    if not alone then result[#result + 1] = stored['body:' .. seq] end
  end
elseif asked or (not intent and waiting > 0) then
  result = { 'held', turn.gateway }
else
  result = { intent and 'settled' or 'idle', turn.gateway }
end
if waiting > 0 then
  redis.call('ZADD', KEYS[3], look_again, session)
else
  redis.call('ZREM', KEYS[3], session)
end
tell(newer and given.record or stored.turn, stored.epoch, heads, release)
return result
