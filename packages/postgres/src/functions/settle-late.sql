-- Settles records of a process that was declared dead, whose allotments were given to others. Each charge is taken as far as every limit
-- on cost still has room; the rest is the platform's loss. Records up to the sequence applied before are passed over, so that a
-- journal may be replayed as often as one likes. Answers with the number of records that counted now.
--
--   p_records   a JSON array, ascending by sequence, of {sequence, spent: [{limit_id, window_start, amount}], log}
create or replace function settle_late(p_process uuid, p_records json) returns integer
  language plpgsql security definer set search_path = nemo, pg_temp
as $$
#variable_conflict use_column
declare
  v_applied bigint;
  v_record json;
  v_log jsonb;
  v_charge bigint;
  v_cost bigint;
  v_count integer := 0;
begin
  select j.applied_sequence into v_applied from journals j where j.process_id = p_process for update;
  if v_applied is null then
    raise exception 'process % is not known here', p_process using errcode = 'no_data_found';
  end if;

  perform 1 from limits l
   where l.id in (select (s ->> 'limit_id')::uuid from json_array_elements(p_records) r, json_array_elements(r -> 'spent') s)
   order by l.id for no key update;

  for v_record in select r from json_array_elements(p_records) r order by (r ->> 'sequence')::bigint loop
    continue when (v_record ->> 'sequence')::bigint <= v_applied;
    v_log := v_record -> 'log';
    v_cost := coalesce((v_log ->> 'cost_nanos')::bigint, 0);
    -- What the process had charged is what there was room for then; now there may be less.
    select least(v_cost, min(room)) into v_charge
      from (select sum(r.room)::bigint as room from late_room(v_record -> 'spent') r group by r.limit_id) rooms;
    v_charge := coalesce(v_charge, 0);

    with charged as (
      insert into counters as c (limit_id, window_start, organization_id, used)
      select r.limit_id, r.window_start, r.organization_id, least(r.room, v_charge - r.room_before)
        from late_room(v_record -> 'spent') r
       where least(r.room, v_charge - r.room_before) > 0
      on conflict (limit_id, window_start) do update set used = c.used + excluded.used
      returning c.limit_id, c.window_start, c.used
    )
    -- Once per window: what was crossed long ago is known already.
    insert into limit_events (limit_id, window_start, percent, organization_id)
    select c.limit_id, c.window_start, t.percent, l.organization_id
      from charged c join limits l on l.id = c.limit_id cross join (values (50), (80), (100)) t (percent)
     where l.bound > 0 and c.used::numeric * 100 >= l.bound::numeric * t.percent
    on conflict do nothing;

    v_log := v_log || jsonb_build_object('loss_nanos', coalesce((v_log ->> 'loss_nanos')::bigint, 0) + v_cost - v_charge);
    if v_log ->> 'cost_nanos' is not null then
      v_log := v_log || jsonb_build_object('cost_nanos', v_charge);
    end if;
    perform write_request_logs(json_build_array(v_log));
    v_applied := (v_record ->> 'sequence')::bigint;
    v_count := v_count + 1;
  end loop;

  update journals j set applied_sequence = v_applied where j.process_id = p_process;
  return v_count;
end
$$;

-- How much of what a record spent each of its limits still has room for, by window; and how much its windows before have. A hold has a part in
-- two windows when it was extended past midnight.
create or replace function late_room(p_spent json)
  returns table (limit_id uuid, window_start timestamptz, organization_id uuid, room bigint, room_before bigint)
  language sql stable
as $$
  with spent as (
    select (s ->> 'limit_id')::uuid as limit_id, (s ->> 'window_start')::timestamptz as window_start, sum((s ->> 'amount')::bigint) as amount
      from json_array_elements(p_spent) s group by 1, 2
  ), rooms as (
    select l.id, s.window_start, l.organization_id,
           least(s.amount, greatest(l.bound - coalesce(c.used + c.held, 0), 0))::bigint as room
      from spent s
      join nemo.limits l on l.id = s.limit_id and l.resource = 'cost'
      left join nemo.counters c on c.limit_id = l.id and c.window_start = s.window_start
  )
  select r.id, r.window_start, r.organization_id, r.room,
         (sum(r.room) over (partition by r.id order by r.window_start) - r.room)::bigint
    from rooms r
$$;
