-- Owners: which gateway runs a session, and what another one needs to go on with it. This script is the only program that changes
-- the keys below. Redis runs it as one atomic step.
--
-- In words
--   A session whose client may return is written down by its gateway: its journal, in entries. Each change of the gateway that owns
--   a session raises the session's epoch by one; from then on everything of an older epoch is refused, here and in advance.lua.
--   write     An entry replaces or removes parts of the journal; one that is `whole` replaces all of it. It is refused if another
--             gateway owns the session, or has ended it ('fenced'), and if an entry before it is missing ('gap': write the whole).
--   claim     A client has come to another gateway with a key of this session: that gateway is the owner from now on, and the one
--             before is told. It may complete the journal once, as long as the new owner waits for it.
--   complete  The owner before has written its last, whole journal, or has nothing to add: tell the owner of today.
--   take_up   The new owner reads the journal, and waits no more.
--   forget    The session is over.
--
-- Keys that it owns; all of them go `ttl_ms` after the last write
--   KEYS[1] turngate:owner:<id>    hash: gateway, epoch
--                                        number   of the last entry
--                                        keys     the keys by which a client finds the session, JSON
--                                        last     '1' if the owner has let go of the session
--                                        awaits   the epoch that may still complete the journal
--   KEYS[2] turngate:journal:<id>  hash: the parts, by name
--   turngate:resume:<key>          string: the session
-- A key of advance.lua
--   KEYS[3] turngate:session:<id>  hash: only its field `epoch` is written, by a claim; and read, where there is no owner
-- Keys of other processes: the streams of commands for the gateways; written to, and never created
-- ARGV[1] is a JSON object
--   operation, session, ttl_ms
--   entry     {gateway, epoch, number, whole, last, keys, gone}, for write and complete
--   key, gateway                       for claim
--   epoch                              for complete (that of the claim), take_up and forget
--   resume                             what the names of resume keys begin with
--   stream = {before, after}, stream_max_length, session_ttl_ms
-- ARGV[2] and so on are the parts of the entry: a name, its JSON, the next name, …
-- It returns: write 'written', 'gap' or 'fenced'; claim {epoch, the owner before, 1 if it has let go} or nothing; complete 1, or 0
-- if it was too late; take_up {name, JSON, …} or nothing.

local given = cjson.decode(ARGV[1])
local owner_key, journal_key, session, entry = KEYS[1], KEYS[2], given.session, given.entry

local owner = {}
local flat = redis.call('HGETALL', owner_key)
for i = 1, #flat, 2 do owner[flat[i]] = flat[i + 1] end
local epoch = tonumber(owner.epoch)

-- `pcall` returns an error instead of ending the script: a gateway that cannot be told is waited for as one that has gone.
local function tell(gateway, command)
  local stream = given.stream.before .. gateway .. given.stream.after
  redis.pcall('XADD', stream, 'NOMKSTREAM', 'MAXLEN', '~', given.stream_max_length, '*', '__data__', cjson.encode(command))
end

local function keys_of(text) return text and cjson.decode(text) or {} end

-- A key that leads elsewhere by now, or is of another type, is left alone.
local function forget_key(key)
  if redis.pcall('GET', given.resume .. key) == session then redis.call('DEL', given.resume .. key) end
end

local function write_down()
  if entry.whole then redis.call('DEL', journal_key) end
  for i = 2, #ARGV, 2 do redis.call('HSET', journal_key, ARGV[i], ARGV[i + 1]) end
  for _, name in ipairs(entry.gone) do redis.call('HDEL', journal_key, name) end
  local wanted = {}
  for _, key in ipairs(entry.keys) do
    wanted[key] = true
    redis.call('SET', given.resume .. key, session, 'PX', given.ttl_ms)
  end
  for _, key in ipairs(keys_of(owner.keys)) do
    if not wanted[key] then forget_key(key) end
  end
  local keys = #entry.keys > 0 and cjson.encode(entry.keys) or '[]'
  redis.call('HSET', owner_key, 'number', entry.number, 'keys', keys)
  redis.call('PEXPIRE', owner_key, given.ttl_ms)
  redis.call('PEXPIRE', journal_key, given.ttl_ms)
end

if given.operation == 'write' then
  -- Also where a newer owner has ended the session: nothing would be granted to this one any more.
  local newest = epoch or tonumber(redis.pcall('HGET', KEYS[3], 'epoch'))
  if newest and entry.epoch < newest then return 'fenced' end
  local follows = epoch == entry.epoch and tonumber(owner.number) == entry.number - 1
  if not entry.whole and not follows then return 'gap' end
  redis.call('HSET', owner_key, 'gateway', entry.gateway, 'epoch', entry.epoch, 'last', entry.last and '1' or '0')
  -- Whoever writes waits no more: what the owner before has would replace what is newer.
  if owner.awaits then redis.call('HDEL', owner_key, 'awaits') end
  write_down()
  return 'written'
end

if given.operation == 'claim' then
  local known = false
  for _, key in ipairs(keys_of(owner.keys)) do known = known or key == given.key end
  if not epoch or not known then return nil end
  local before, let_go = owner.gateway, owner.last == '1'
  -- First, since an error here leaves everything as it was.
  redis.call('HSET', KEYS[3], 'epoch', epoch + 1)
  redis.call('PEXPIRE', KEYS[3], given.session_ttl_ms)
  redis.call('HSET', owner_key, 'gateway', given.gateway, 'epoch', epoch + 1, 'last', '0')
  if not let_go then
    -- Of two claims in a row, the first of which was not taken up, both wait for the same journal.
    redis.call('HSET', owner_key, 'awaits', owner.awaits or epoch)
    tell(before, { type = 'SessionClaimed', session = session, epoch = epoch + 1, gateway = given.gateway })
  end
  redis.call('PEXPIRE', owner_key, given.ttl_ms)
  return { epoch + 1, before, (let_go and not owner.awaits) and 1 or 0 }
end

if given.operation == 'complete' then
  local own = entry and entry.epoch or given.epoch - 1
  if tonumber(owner.awaits) ~= own then return 0 end
  if entry then write_down() end
  redis.call('HDEL', owner_key, 'awaits')
  tell(owner.gateway, { type = 'JournalComplete', session = session, epoch = epoch })
  return 1
end

if given.operation == 'take_up' then
  if epoch ~= given.epoch then return nil end
  redis.call('HDEL', owner_key, 'awaits')
  local parts = redis.call('HGETALL', journal_key)
  return #parts > 0 and parts or nil
end

-- forget
if epoch and epoch ~= given.epoch then return 0 end
for _, key in ipairs(keys_of(owner.keys)) do forget_key(key) end
redis.call('DEL', owner_key, journal_key)
return 1
