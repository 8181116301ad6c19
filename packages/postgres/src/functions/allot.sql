-- Gives a process what it asks for a batch of requests, as allotments. Each request gets what it needs of all of its limits or of none, in the
-- order given, and each sees what those before it took. What is ample is given in advance beside. One round trip, whatever the batch.
--
--   p_process, p_epoch   who asks; an epoch that has passed is shut out
--   p_organizations      one per request
--   p_limits             the distinct limits that the batch asks of
--   p_ask_requests       one per ask, ascending: the request, as a position in p_organizations
--   p_ask_limits         one per ask: the limit, as a position in p_limits
--   p_needs              one per ask: what the request can't do without; 0 for a refill
--   p_wants              one per ask: what would be welcome beyond it. Of money a sum; of a rate, anything but 0 asks for a fair share
--
-- Answers with a row for each limit as it stands after the batch (request_position is null; extra is what was given beyond the needs),
-- and a row for each request that was refused, with the limit that refused it as it stood then. A refusal whose bound is null says that
-- the limit is gone: the caller's configuration is out of date. `holders` isn't null where others hold what was missing and were told: the processes
-- among them that are alive.
drop function if exists allot(uuid, integer, uuid[], uuid[], integer[], integer[], bigint[], bigint[]);
create function allot(
  p_process uuid,
  p_epoch integer,
  p_organizations uuid[],
  p_limits uuid[],
  p_ask_requests integer[],
  p_ask_limits integer[],
  p_needs bigint[],
  p_wants bigint[]
) returns table (
  request_position integer, limit_position integer, bound bigint, used bigint, held bigint, own bigint, extra bigint, needed bigint,
  holders uuid[], starts_at timestamptz, ends_at timestamptz, server_time timestamptz
)
  language plpgsql security definer set search_path = nemo, pg_temp set plan_cache_mode = force_generic_plan
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
declare
  v_now timestamptz;
  v_live bigint;
  v_bounds bigint[];
  v_windows text[];
  v_owners uuid[];
  v_starts timestamptz[];
  v_used bigint[];
  v_held bigint[];
  v_own bigint[];
  v_given bigint[];
  v_wanted bigint[];
  v_admitted boolean;
  v_ask integer := 1;
  v_first integer;
  v_request integer;
  v_limit integer;
  v_free bigint;
  v_asks integer := coalesce(cardinality(p_ask_requests), 0);
  v_limits integer := coalesce(cardinality(p_limits), 0);
begin
  perform require_process(p_process, p_epoch);

  -- Everyone locks limits before counters, in the order of their ids: nothing deadlocks, and what follows has each limit to itself.
  perform 1 from limits l where l.id = any (p_limits) order by l.id for no key update;
  -- The clock is read under the locks, so that windows never run backwards for a limit.
  v_now := clock_timestamp();
  select greatest(count(*), 1) into v_live from processes p
   where p.dead_at is null and p.heartbeat_at > v_now - interval '10 seconds';

  select array_agg(l.bound order by a.position), array_agg(l.window_name order by a.position),
         array_agg(l.organization_id order by a.position), array_agg(window_start(l.window_name, v_now) order by a.position),
         array_agg(0::bigint order by a.position)
    into v_bounds, v_windows, v_owners, v_starts, v_given
    from unnest(p_limits) with ordinality a (id, position)
    left join limits l on l.id = a.id;
  v_wanted := v_given;
  -- `offset 0` keeps the planner from joining: it is to look up each by its key, whatever else the tables hold.
  select array_agg(coalesce(c.used, 0) order by a.position), array_agg(coalesce(c.held, 0) order by a.position),
         array_agg(coalesce(o.amount, 0) order by a.position)
    into v_used, v_held, v_own
    from unnest(p_limits, v_starts) with ordinality a (id, starts_at, position)
    left join lateral (
      select x.used, x.held from counters x where x.limit_id = a.id and x.window_start = a.starts_at offset 0) c on true
    left join lateral (
      select x.amount from allotments x
       where x.limit_id = a.id and x.window_start = a.starts_at and x.process_id is not distinct from p_process offset 0) o on true;

  server_time := v_now;
  while v_ask <= v_asks loop
    v_request := p_ask_requests[v_ask];
    v_first := v_ask;
    v_admitted := true;
    while v_ask <= v_asks and p_ask_requests[v_ask] = v_request loop
      v_limit := p_ask_limits[v_ask];
      if v_admitted and p_needs[v_ask] > 0 and (v_bounds[v_limit] is null or v_owners[v_limit] <> p_organizations[v_request]
          or p_needs[v_ask] > v_bounds[v_limit] - v_used[v_limit] - v_held[v_limit]) then
        v_admitted := false;
        request_position := v_request;
        limit_position := v_limit;
        bound := case when v_owners[v_limit] = p_organizations[v_request] then v_bounds[v_limit] end;
        used := v_used[v_limit];
        held := v_held[v_limit];
        own := v_own[v_limit];
        extra := 0;
        needed := p_needs[v_ask];
        starts_at := v_starts[v_limit];
        ends_at := window_end(v_windows[v_limit], v_now);
        -- Others can only help where they hold something, and where what they hold could be enough.
        holders := null;
        if bound is not null and held > own and needed <= bound - used - own then
          select coalesce(array_agg(o.process_id), '{}') into holders
            from allotments o join processes p on p.id = o.process_id
           where (o.limit_id, o.window_start) = (p_limits[v_limit], starts_at) and o.amount > 0 and o.process_id <> p_process
             and p.dead_at is null and p.heartbeat_at > v_now - interval '10 seconds';
          perform pg_notify('ledger', 'recall ' || p_limits[v_limit] || ' ' || p_process);
        end if;
        return next;
      end if;
      v_ask := v_ask + 1;
    end loop;
    if v_admitted then
      for i in v_first .. v_ask - 1 loop
        v_limit := p_ask_limits[i];
        v_held[v_limit] := v_held[v_limit] + p_needs[i];
        v_own[v_limit] := v_own[v_limit] + p_needs[i];
        v_given[v_limit] := v_given[v_limit] + p_needs[i];
        v_wanted[v_limit] := greatest(v_wanted[v_limit], p_wants[i]);
      end loop;
    end if;
  end loop;

  request_position := null;
  needed := null;
  holders := null;
  for i in 1 .. v_limits loop
    v_free := v_bounds[i] - v_used[i] - v_held[i];
    extra := 0;
    if v_wanted[i] > 0 and v_free > 0 then
      if v_windows[i] in ('minute', 'now') then
        -- A share: the whole for a process alone, an equal part among several.
        extra := least(greatest((v_bounds[i] + v_live - 1) / v_live - v_own[i], 0), v_free);
      else
        -- A sum, at most half of a fair part of what is free: it shrinks as the bound comes nearer, down to nothing.
        extra := least(v_wanted[i], v_free / (2 * v_live));
      end if;
    end if;
    v_held[i] := v_held[i] + extra;
    v_own[i] := v_own[i] + extra;
    v_given[i] := v_given[i] + extra;
    limit_position := i;
    bound := v_bounds[i];
    used := v_used[i];
    held := v_held[i];
    own := v_own[i];
    starts_at := v_starts[i];
    ends_at := window_end(v_windows[i], v_now);
    return next;
  end loop;

  insert into counters as c (limit_id, window_start, organization_id, held)
  select a.id, a.starts_at, a.owner, a.given
    from unnest(p_limits, v_starts, v_owners, v_given) a (id, starts_at, owner, given)
   where a.given > 0
  on conflict (limit_id, window_start) do update set held = c.held + excluded.held;

  insert into allotments as o (limit_id, window_start, process_id, organization_id, amount)
  select a.id, a.starts_at, p_process, a.owner, a.given
    from unnest(p_limits, v_starts, v_owners, v_given) a (id, starts_at, owner, given)
   where a.given > 0
  on conflict (limit_id, window_start, process_id) do update set amount = o.amount + excluded.amount;
end
$$;
