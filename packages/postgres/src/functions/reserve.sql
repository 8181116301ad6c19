-- Reserves for a batch of requests. Each is admitted against all of its limits or against none, in the order given,
-- and each sees what those before it took. One round trip, whatever the batch.
--
--   p_process         the process that will own the holds
--   p_hold_ids        one per request; the hold takes the request's id
--   p_organizations   one per request
--   p_limits          the distinct limits that the batch asks of
--   p_ask_holds       one per ask, ascending: the request, as a position in p_hold_ids
--   p_ask_limits      one per ask: the limit, as a position in p_limits
--   p_ask_amounts     one per ask: how much
--
-- Answers with a row for each limit as it stands after the batch (hold_position is null), and a row for each request that was
-- refused: the limit, what it stood at then, what was needed, and when enough of it comes free by itself. A refusal whose
-- bound is null says that the limit is gone: the caller's configuration is out of date.
create or replace function reserve(
  p_process uuid,
  p_hold_ids uuid[],
  p_organizations uuid[],
  p_limits uuid[],
  p_ask_holds integer[],
  p_ask_limits integer[],
  p_ask_amounts bigint[]
) returns table (hold_position integer, limit_position integer, bound bigint, used bigint, held bigint, needed bigint, free_at timestamptz)
  language plpgsql security definer set search_path = nemo, pg_temp
as $$
#variable_conflict use_column
declare
  v_now timestamptz;
  v_bounds bigint[];
  v_windows text[];
  v_owners uuid[];
  v_used bigint[];
  v_held bigint[];
  v_taken bigint[];
  v_admitted boolean[] := array_fill(true, array[cardinality(p_hold_ids)]);
  v_ask integer := 1;
  v_first integer;
  v_last integer;
  v_hold integer;
  v_limit integer;
  v_asks integer := coalesce(cardinality(p_ask_holds), 0);
begin
  -- Who reserves lives: it can't be taken for dead while it does, and if it was before, it is back.
  perform 1 from processes p where p.id = p_process for key share;
  if not found then
    insert into processes (id) values (p_process) on conflict (id) do nothing;
  end if;

  -- Everyone locks limits before counters and in the order of their ids: no deadlock, and what follows has each limit to itself.
  perform 1 from limits l where l.id = any (p_limits) order by l.id for no key update;
  -- The clock is read under the locks, so that windows never run backwards for a limit.
  v_now := clock_timestamp();

  select array_agg(l.bound order by a.position), array_agg(l.window_name order by a.position),
         array_agg(l.organization_id order by a.position),
         array_agg(coalesce(c.used, 0) order by a.position), array_agg(coalesce(c.held, 0) order by a.position),
         array_agg(0::bigint order by a.position)
    into v_bounds, v_windows, v_owners, v_used, v_held, v_taken
    from unnest(p_limits) with ordinality a (id, position)
    left join limits l on l.id = a.id
    left join lateral (
      select sum(c.used)::bigint as used, sum(c.held)::bigint as held
        from counters c
       where c.limit_id = a.id and c.window_start >= window_floor(l.window_name, v_now)
    ) c on true;

  while v_ask <= v_asks loop
    v_hold := p_ask_holds[v_ask];
    v_first := v_ask;
    while v_ask <= v_asks and p_ask_holds[v_ask] = v_hold loop
      v_limit := p_ask_limits[v_ask];
      if v_admitted[v_hold] and (v_bounds[v_limit] is null or v_owners[v_limit] <> p_organizations[v_hold]
          or v_used[v_limit] + v_held[v_limit] + p_ask_amounts[v_ask] > v_bounds[v_limit]) then
        v_admitted[v_hold] := false;
        hold_position := v_hold;
        limit_position := v_limit;
        bound := case when v_owners[v_limit] = p_organizations[v_hold] then v_bounds[v_limit] end;
        used := v_used[v_limit];
        held := v_held[v_limit];
        needed := p_ask_amounts[v_ask];
        free_at := comes_free_at(p_limits[v_limit], v_windows[v_limit], v_now,
          v_used[v_limit] + v_held[v_limit] + p_ask_amounts[v_ask] - v_bounds[v_limit], p_ask_amounts[v_ask] > v_bounds[v_limit]);
        return next;
      end if;
      v_ask := v_ask + 1;
    end loop;
    v_last := v_ask - 1;
    if v_admitted[v_hold] then
      for i in v_first .. v_last loop
        v_limit := p_ask_limits[i];
        v_held[v_limit] := v_held[v_limit] + p_ask_amounts[i];
        v_taken[v_limit] := v_taken[v_limit] + p_ask_amounts[i];
      end loop;
    end if;
  end loop;

  insert into counters as c (limit_id, window_start, organization_id, held)
  select a.id, window_start(a.window_name, v_now), a.owner, a.taken
    from unnest(p_limits, v_windows, v_owners, v_taken) a (id, window_name, owner, taken)
   where a.taken > 0
  on conflict (limit_id, window_start) do update set held = c.held + excluded.held;

  -- The seconds that no longer bear on anything, of the limits at hand.
  delete from counters c
   using unnest(p_limits, v_windows) a (id, window_name)
   where a.window_name = 'minute' and c.limit_id = a.id and c.held = 0 and c.window_start < v_now - interval '62 seconds';

  insert into holds (id, organization_id, process_id, created_at, limit_ids, window_starts, amounts)
  select p_hold_ids[h.position], p_organizations[h.position], p_process, v_now,
         array_agg(p_limits[p_ask_limits[i]] order by i),
         array_agg(window_start(v_windows[p_ask_limits[i]], v_now) order by i),
         array_agg(p_ask_amounts[i] order by i)
    from (select s as position from generate_series(1, cardinality(p_hold_ids)) s where v_admitted[s]) h
    join generate_series(1, v_asks) i on p_ask_holds[i] = h.position
   group by h.position;

  hold_position := null;
  needed := null;
  free_at := null;
  for i in 1 .. coalesce(cardinality(p_limits), 0) loop
    limit_position := i;
    bound := v_bounds[i];
    used := v_used[i];
    held := v_held[i];
    return next;
  end loop;
end
$$;

-- When enough of a limit comes free by itself: of a rolling minute when its oldest seconds have left it, of a calendar window
-- when the next begins. Null where time heals nothing, or where the request is larger than the limit itself.
create or replace function comes_free_at(p_limit uuid, p_window text, p_now timestamptz, p_missing bigint, p_never boolean)
  returns timestamptz
  language sql stable
as $$
  select case
    when p_never then null
    when p_window = 'minute' then (
      select s.window_start + interval '61 seconds'
        from (select c.window_start, sum(c.used + c.held) over (order by c.window_start) as freed
                from nemo.counters c
               where c.limit_id = p_limit and c.window_start >= nemo.window_floor('minute', p_now)) s
       where s.freed >= p_missing
       order by s.window_start limit 1)
    else nemo.window_end(p_window, p_now)
  end
$$;
