#!lua name=quintet
-- The transitions of the shared episode state. Each function is one atomic, idempotent step; the
-- answer is a list whose first element is "none" or the name of an error code (lib/base/err.h) and
-- whose second one is, for an error, its text.
--
-- DESIGN
--   q:runs                  zset: runs with work, by the time (us) of their last claim: fair turns
--   q:<run>:run             hash: epoch, holder, until (ms): the trainer's lease; record;
--                           boot, fence_epoch, fence_counter: where fences come from
--   q:<run>:steps           zset: ids of all steps that exist
--   q:<run>:s:<step>        hash: state (open, closed), n, leased, committed, dead
--   q:<run>:g:<group>       hash: state (pending, leased, committed, dead), payload, tries, fence,
--                           holder, turns, t0..tN (what turns added), result, reason, gaveup
--   q:<run>:pending         zset: ids of groups that wait, all with score 0: in order of their ids
--   q:<run>:leased          zset: ids of groups under a lease, by its end (ms)
--   q:<run>:holders         hash: holder -> "token group" of its last claim: a repeated claim finds it
--   q:<run>:log             stream of bounded length
-- A step's id is "%012d/%d" of (step, phase), a group's that and "/%06d": ids sort as they are played.
--
-- The way of a group: open makes it pending; claim makes it leased, with a fence; commit or dead ends it.
-- give_up, orphans and a claim by anybody after the lease's end make it pending again. The fence is what a
-- holder shows with every write: whoever lost the lease, be it by a stop of the machine in the middle of a
-- call, shows an old one and is refused, whatever it believes. Calls are repeated after a lost answer, so each
-- function first looks whether it has been carried out already, and then answers as it did.
-- Only `open` creates a group; everything else answers "stale" for one that is not there. The end of a
-- run's keys is `release`, or the first `acquire` by anybody a week after its lease ended.
-- Time is Redis's. A lease that ended is taken away when somebody claims, and not before: its holder
-- may still commit, since nobody else has started. Single Redis, no cluster: keys are made here.
--
-- A group's own `state` is the truth. The sorted sets `pending` and `leased` only say where to look: an
-- entry whose group is in another state is removed and counts for nothing, and one that is missing is made
-- again by a claim that finds nothing else. So whatever becomes of an entry, a finished group is never played
-- again, a step is never counted as finished without it, and none waits for ever.
--
-- The program that loads this text puts a hash of it into the library's name and, as VERSION, into the
-- name of every function: two builds that share a Redis each call their own.

local WEEK_MS = 7 * 24 * 3600 * 1000

local function int (x)
    return string.format ('%.0f', x)
end

local function now_ms ()
    local t = redis.call ('TIME')
    return tonumber (t[1]) * 1000 + math.floor (tonumber (t[2]) / 1000)
end

local function now_us ()
    local t = redis.call ('TIME')
    return tonumber (t[1]) * 1000000 + tonumber (t[2])
end

local function key (run, name)
    return 'q:' .. run .. ':' .. name
end

local function step_key (run, step)
    return 'q:' .. run .. ':s:' .. step
end

local function group_key (run, group)
    return 'q:' .. run .. ':g:' .. group
end

local function group_id (step, index)
    return string.format ('%s/%06d', step, index)
end

local function step_of (group)
    return string.sub (group, 1, -8)
end

-- Changes when Redis was restarted; kept for the life of the process that loaded this library.
local boot_id
local function boot ()
    if not boot_id then
        boot_id = string.match (redis.call ('INFO', 'server'), 'run_id:(%x+)')
    end
    return boot_id
end

-- nil when the trainer with this epoch still owns the run, else the answer to give.
local function not_owner (run, epoch)
    local now = redis.call ('HGET', key (run, 'run'), 'epoch')
    if not now then
        return {'missing', "Redis does not know run '" .. run ..
                "': it was released, or Redis lost its data; acquire it again"}
    end
    if now ~= epoch then
        return {'stale', "run '" .. run .. "' was taken over by the trainer of epoch " .. now ..
                " (ours is " .. epoch .. ")"}
    end
end

local function count (run, group, name, by)
    redis.call ('HINCRBY', step_key (run, step_of (group)), name, by)
end

local function state_of (run, group)
    return redis.call ('HGET', group_key (run, group), 'state')
end

-- Its groups and all entries of them. Whoever still plays one is told 'stale' at its next write.
local function drop_step (run, step)
    local n = tonumber (redis.call ('HGET', step_key (run, step), 'n') or 0)
    for i = 0, n - 1 do
        local group = group_id (step, i)
        redis.call ('ZREM', key (run, 'pending'), group)
        redis.call ('ZREM', key (run, 'leased'), group)
        redis.call ('DEL', group_key (run, group))
    end
    redis.call ('DEL', step_key (run, step))
    redis.call ('ZREM', key (run, 'steps'), step)
end

local function drop_run (run)
    for _, step in ipairs (redis.call ('ZRANGE', key (run, 'steps'), 0, -1)) do
        drop_step (run, step)
    end
    redis.call ('DEL', key (run, 'run'), key (run, 'steps'), key (run, 'pending'),
                key (run, 'leased'), key (run, 'holders'), key (run, 'log'))
    redis.call ('ZREM', 'q:runs', run)
end

-- ---- the trainer's side --------------------------------------------------------------------------

-- run holder lease_ms record -> epoch
local function acquire (_, args)
    local run, holder, lease, record = args[1], args[2], tonumber (args[3]), args[4]
    local now = now_ms ()
    for _, other in ipairs (redis.call ('ZRANGE', 'q:runs', 0, -1)) do
        local till = redis.call ('HGET', key (other, 'run'), 'until')
        if other ~= run and till and tonumber (till) + WEEK_MS < now then
            drop_run (other)
        end
    end
    local old = redis.call ('HMGET', key (run, 'run'), 'epoch', 'holder', 'until')
    if old[1] and old[2] ~= holder and tonumber (old[3]) > now then
        return {'busy', "run '" .. run .. "' belongs to '" .. old[2] .. "' for " ..
                int (tonumber (old[3]) - now) .. ' ms more unless it renews'}
    end
    -- Not below the clock, so that epochs grow even when Redis lost its data in between.
    local epoch = int (math.max (tonumber (old[1] or 0) + 1, now_us ()))
    redis.call ('HSET', key (run, 'run'), 'epoch', epoch, 'holder', holder, 'until',
                int (now + lease), 'record', record)
    redis.call ('ZADD', 'q:runs', 'NX', 0, run)
    return {'none', epoch}
end

-- run epoch lease_ms
local function renew_run (_, args)
    local refused = not_owner (args[1], args[2])
    if refused then
        return refused
    end
    redis.call ('HSET', key (args[1], 'run'), 'until', int (now_ms () + tonumber (args[3])))
    return {'none'}
end

-- run epoch; releasing what is not there is a success
local function release (_, args)
    local refused = not_owner (args[1], args[2])
    if refused and refused[1] == 'missing' then
        return {'none'}
    end
    if not refused then
        drop_run (args[1])
    end
    return refused or {'none'}
end

-- run epoch step payload...
-- A trainer that goes on after a kill opens the step that it had opened already: with the same groups that is
-- a success and changes nothing, whatever has become of them meanwhile.
local function open (_, args)
    local run, step, n = args[1], args[3], #args - 3
    local refused = not_owner (run, args[2])
    if refused then
        return refused
    end
    local old = redis.call ('HMGET', step_key (run, step), 'state', 'n')
    if old[1] == 'closed' then
        return {'stale', 'step ' .. step .. " of run '" .. run .. "' is committed already"}
    end
    for i = 1, old[1] and n or 0 do
        local payload = redis.call ('HGET', group_key (run, group_id (step, i - 1)), 'payload')
        if tonumber (old[2]) ~= n or payload ~= args[3 + i] then
            return {'bad-input', 'step ' .. step .. " of run '" .. run ..
                    "' is open with other groups; drop it first"}
        end
    end
    if old[1] then
        return {'none'}
    end
    redis.call ('ZADD', key (run, 'steps'), 0, step)
    redis.call ('HSET', step_key (run, step), 'state', 'open', 'n', n, 'leased', 0, 'committed', 0,
                'dead', 0)
    for i = 1, n do
        local group = group_id (step, i - 1)
        redis.call ('HSET', group_key (run, group), 'state', 'pending', 'payload', args[3 + i],
                    'tries', 0, 'turns', 0)
        redis.call ('ZADD', key (run, 'pending'), 0, group)
    end
    return {'none'}
end

-- run step -> n leased committed dead
local function status (_, args)
    local s = redis.call ('HMGET', step_key (args[1], args[2]), 'n', 'leased', 'committed', 'dead')
    if not s[1] then
        return {'missing', 'step ' .. args[2] .. " of run '" .. args[1] .. "' is not in Redis"}
    end
    return {'none', s[1], s[2], s[3], s[4]}
end

-- run step index -> state, result or reason
local function result (_, args)
    local group = group_id (args[2], tonumber (args[3]))
    local g = redis.call ('HMGET', group_key (args[1], group), 'state', 'result', 'reason')
    if not g[1] then
        return {'missing', 'group ' .. group .. " of run '" .. args[1] .. "' is not in Redis"}
    end
    return {'none', g[1], g[2] or g[3] or ''}
end

-- run epoch step kept
-- The last few steps of each phase stay for looking at, and the older ones go.
local function close (_, args)
    local run, step = args[1], args[3]
    local refused = not_owner (run, args[2])
    if refused then
        return refused
    end
    local s = redis.call ('HMGET', step_key (run, step), 'state', 'n', 'committed', 'dead')
    if not s[1] then
        return {'missing', 'step ' .. step .. " of run '" .. run .. "' is not in Redis"}
    end
    if s[1] == 'open' and tonumber (s[3]) + tonumber (s[4]) < tonumber (s[2]) then
        return {'bad-input', 'step ' .. step .. " of run '" .. run .. "' has unfinished groups"}
    end
    redis.call ('HSET', step_key (run, step), 'state', 'closed')
    local phase, closed = string.match (step, '/(%d+)$'), {}
    for _, other in ipairs (redis.call ('ZRANGE', key (run, 'steps'), 0, -1)) do
        if string.match (other, '/(%d+)$') == phase and
           redis.call ('HGET', step_key (run, other), 'state') == 'closed' then
            closed[#closed + 1] = other
        end
    end
    for i = 1, #closed - tonumber (args[4]) do
        drop_step (run, closed[i])
    end
    return {'none'}
end

-- run epoch step-number
-- What was played for later steps belongs to weights that the checkpoint does not have.
local function drop_after (_, args)
    local refused = not_owner (args[1], args[2])
    if refused then
        return refused
    end
    for _, step in ipairs (redis.call ('ZRANGE', key (args[1], 'steps'), 0, -1)) do
        if tonumber (string.match (step, '^(%d+)/')) > tonumber (args[3]) then
            drop_step (args[1], step)
        end
    end
    return {'none'}
end

-- ---- the environment's side ----------------------------------------------------------------------

-- Back among the pending ones, to be started again at turn 0: what its last holder wrote is dropped,
-- since the next one plays the same turns anew. The caller has seen that its state is 'leased'.
local function put_back (run, group)
    local g = group_key (run, group)
    for i = 0, tonumber (redis.call ('HGET', g, 'turns')) - 1 do
        redis.call ('HDEL', g, 't' .. i)
    end
    redis.call ('HDEL', g, 'fence', 'holder')
    redis.call ('HSET', g, 'state', 'pending', 'turns', 0)
    redis.call ('ZREM', key (run, 'leased'), group)
    redis.call ('ZADD', key (run, 'pending'), 0, group)
    count (run, group, 'leased', -1)
    return redis.call ('HINCRBY', g, 'tries', 1)
end

-- Fences never repeat within a run: the counter starts anew only under a new, greater epoch, which
-- every start of Redis brings, since Redis may come back with an old state.
local function new_fence (run)
    local r = key (run, 'run')
    local old = redis.call ('HMGET', r, 'boot', 'fence_epoch')
    if old[1] ~= boot () then
        redis.call ('HSET', r, 'boot', boot (), 'fence_counter', 0, 'fence_epoch',
                    int (math.max (tonumber (old[2] or 0) + 1, now_us ())))
    end
    local counter = redis.call ('HINCRBY', r, 'fence_counter', 1)
    return redis.call ('HGET', r, 'fence_epoch') .. ':' .. int (counter)
end

local function claimed (run, group)
    local g = redis.call ('HMGET', group_key (run, group), 'fence', 'payload')
    return {'none', run, group, g[1], g[2]}
end

local function lease (run, group, holder, lease_ms, token)
    redis.call ('ZREM', key (run, 'pending'), group)
    redis.call ('ZADD', key (run, 'leased'), int (now_ms () + lease_ms), group)
    redis.call ('HSET', group_key (run, group), 'state', 'leased', 'holder', holder, 'fence',
                new_fence (run))
    redis.call ('HSET', key (run, 'holders'), holder, token .. ' ' .. group)
    redis.call ('ZADD', 'q:runs', int (now_us ()), run)
    count (run, group, 'leased', 1)
    return claimed (run, group)
end

-- What the same claim was given when its answer got lost.
local function claimed_before (runs, holder, token)
    for _, run in ipairs (runs) do
        local last = redis.call ('HGET', key (run, 'holders'), holder)
        if last and string.sub (last, 1, #token + 1) == token .. ' ' then
            local group = string.sub (last, #token + 2)
            local g = redis.call ('HMGET', group_key (run, group), 'state', 'holder')
            if g[1] == 'leased' and g[2] == holder then
                return claimed (run, group)
            end
        end
    end
end

-- The first group that waits, by id. Entries of groups that do not wait any more are removed.
local function first_pending (run)
    while true do
        local first = redis.call ('ZRANGE', key (run, 'pending'), 0, 0)[1]
        if not first or state_of (run, first) == 'pending' then
            return first
        end
        redis.call ('ZREM', key (run, 'pending'), first)
    end
end

-- Gives every unfinished group the entry that its state asks for. Entries can get lost where Redis evicts
-- keys, or somebody removes them; a group without one would be waited for until the run's deadline. One
-- that is leased gets a lease from now on: its holder, if it lives, renews it, and else it ends. Counted
-- first, since as a rule nothing is lost.
local function find_entries (run, now, lease_ms)
    local open, unfinished = {}, 0
    for _, step in ipairs (redis.call ('ZRANGE', key (run, 'steps'), 0, -1)) do
        local s = redis.call ('HMGET', step_key (run, step), 'state', 'n', 'committed', 'dead')
        if s[1] == 'open' then
            open[#open + 1] = {step, tonumber (s[2])}
            unfinished = unfinished + s[2] - s[3] - s[4]
        end
    end
    if redis.call ('ZCARD', key (run, 'pending')) + redis.call ('ZCARD', key (run, 'leased')) >= unfinished then
        return
    end
    for _, step in ipairs (open) do
        for i = 0, step[2] - 1 do
            local group = group_id (step[1], i)
            local state = state_of (run, group)
            if state == 'pending' then
                redis.call ('ZADD', key (run, 'pending'), 0, group)
            elseif state == 'leased' then
                redis.call ('ZADD', key (run, 'leased'), 'NX', int (now + lease_ms), group)
            end
        end
    end
end

-- holder lease_ms token -> run group fence payload, or nothing. A run whose trainer's lease ended
-- waits for a trainer.
local function claim (_, args)
    local holder, lease_ms, token = args[1], tonumber (args[2]), args[3]
    local runs, now = redis.call ('ZRANGE', 'q:runs', 0, -1), now_ms ()
    local before = claimed_before (runs, holder, token)
    if before then
        return before
    end
    for _, run in ipairs (runs) do
        local till = redis.call ('HGET', key (run, 'run'), 'until')
        if not till then
            redis.call ('ZREM', 'q:runs', run)
        elseif tonumber (till) > now then
            local ended = redis.call ('ZRANGEBYSCORE', key (run, 'leased'), '-inf', int (now),
                                      'LIMIT', 0, 100)
            for _, group in ipairs (ended) do
                if state_of (run, group) == 'leased' then
                    put_back (run, group)
                else -- finished or dropped since: the entry is left over
                    redis.call ('ZREM', key (run, 'leased'), group)
                end
            end
            local first = first_pending (run)
            if not first then
                find_entries (run, now, lease_ms)
                first = first_pending (run)
            end
            if first then
                return lease (run, first, holder, lease_ms, token)
            end
        end
    end
    return {'none'}
end

-- nil when the fence is the group's present one, else the answer to give; and the group's state.
local function not_holder (run, group, fence)
    local g = redis.call ('HMGET', group_key (run, group), 'state', 'fence', 'holder')
    if not g[1] then
        return {'stale', 'group ' .. group .. " of run '" .. run ..
                "' is gone: its step was committed or dropped"}
    end
    if g[2] ~= fence then
        return {'stale', 'group ' .. group .. " of run '" .. run .. "' is not ours any more: " ..
                (g[3] and "'" .. g[3] .. "' has it" or 'it waits to be claimed')}
    end
    return nil, g[1]
end

local function not_playing (run, group, fence)
    local refused, state = not_holder (run, group, fence)
    if not refused and state ~= 'leased' then
        refused = {'stale', 'group ' .. group .. " of run '" .. run .. "' is " .. state}
    end
    return refused
end

-- run group fence lease_ms
local function renew (_, args)
    local refused = not_playing (args[1], args[2], args[3])
    if refused then
        return refused
    end
    redis.call ('ZADD', key (args[1], 'leased'), int (now_ms () + tonumber (args[4])), args[2])
    return {'none'}
end

-- run group fence turn lines
local function turn (_, args)
    local refused = not_playing (args[1], args[2], args[3])
    if refused then
        return refused
    end
    local g, number = group_key (args[1], args[2]), tonumber (args[4])
    local turns = math.max (tonumber (redis.call ('HGET', g, 'turns')), number + 1)
    redis.call ('HSET', g, 't' .. args[4], args[5], 'turns', turns)
    return {'none'}
end

-- Ends a group, once: the same end by the same fence again is a success, another end is refused. The first
-- commit is the one that counts; a second copy would be equal anyway, since a group is a function of its payload.
local function finish (run, group, fence, state, field, value)
    local refused, now = not_holder (run, group, fence)
    if refused or now == state then
        return refused or {'none'}
    end
    refused = not_playing (run, group, fence)
    if refused then
        return refused
    end
    local g = group_key (run, group)
    redis.call ('HSET', g, 'state', state, field, value)
    redis.call ('ZREM', key (run, 'leased'), group)
    count (run, group, 'leased', -1)
    count (run, group, state, 1)
    return {'none'}
end

-- run group fence result
local function commit (_, args)
    return finish (args[1], args[2], args[3], 'committed', 'result', args[4])
end

-- run group fence reason
local function dead (_, args)
    return finish (args[1], args[2], args[3], 'dead', 'reason', args[4])
end

-- run group fence reason -> tries
-- `gaveup` is the fence under which it was given up last: by it a repeated call is known, when the group is
-- pending or somebody else's already. `tries` is told to people; it changes nothing of what is played.
local function give_up (_, args)
    local g = group_key (args[1], args[2])
    local last = redis.call ('HMGET', g, 'gaveup', 'tries')
    if last[1] == args[3] then
        return {'none', last[2]}
    end
    local refused = not_playing (args[1], args[2], args[3])
    if refused then
        return refused
    end
    redis.call ('HSET', g, 'gaveup', args[3], 'reason', args[4])
    return {'none', int (put_back (args[1], args[2]))}
end

-- holder -> how many groups it had
-- A process that starts under a name is the only one of that name: what its predecessor held is nobody's.
local function orphans (_, args)
    local n = 0
    for _, run in ipairs (redis.call ('ZRANGE', 'q:runs', 0, -1)) do
        for _, group in ipairs (redis.call ('ZRANGE', key (run, 'leased'), 0, -1)) do
            local g = redis.call ('HMGET', group_key (run, group), 'state', 'holder')
            if g[1] == 'leased' and g[2] == args[1] then
                put_back (run, group)
                n = n + 1
            end
        end
    end
    return {'none', int (n)}
end

-- ---- looking -------------------------------------------------------------------------------------

-- run maximum event text
local function log (_, args)
    if redis.call ('EXISTS', key (args[1], 'run')) == 0 then
        return {'missing', "Redis does not know run '" .. args[1] .. "'"}
    end
    redis.call ('XADD', key (args[1], 'log'), 'MAXLEN', args[2], '*', 'event', args[3], 'text', args[4])
    return {'none'}
end

local function tell_boot ()
    return {'none', boot ()}
end

local function register (name, call)
    redis.register_function ('quintet_' .. name .. '_' .. VERSION, call)
end

register ('acquire', acquire)
register ('renew_run', renew_run)
register ('release', release)
register ('open', open)
register ('status', status)
register ('result', result)
register ('close', close)
register ('drop_after', drop_after)
register ('claim', claim)
register ('renew', renew)
register ('turn', turn)
register ('commit', commit)
register ('dead', dead)
register ('give_up', give_up)
register ('orphans', orphans)
register ('log', log)
register ('boot', tell_boot)
