-- Applies a batch of a process's journal: what was spent of its allotments becomes used, what it gives back becomes free, and the
-- charges and log rows of the requests are written with it, in one transaction. Applying a batch again does nothing.
--
--   p_batch               the batch's number, one more than the last
--   p_sequence            the journal sequence of its last record; null for a batch without records
--   p_limits, p_windows, p_spent, p_returned   one each per allotment
--   p_freed               limits that others are waiting for: they are told
--   p_events              {limit_id, percent} of rates, which only the process sees
--   p_logs                a JSON array of request_logs rows, with cost_nanos and loss_nanos as charged
--
-- Plans are made once, perhaps while the tables are empty, and kept: only nested loops over indexes are good for a table of any size.
--
-- Answers 'applied', 'repeated', or 'dead' when the process was declared dead: its allotments are gone, and its records must be settled
-- one by one (settle_late).
create or replace function settle(
  p_process uuid, p_batch bigint, p_sequence bigint,
  p_limits uuid[], p_windows timestamptz[], p_spent bigint[], p_returned bigint[], p_freed uuid[], p_events json, p_logs json
) returns text
  language plpgsql security definer set search_path = nemo, pg_temp set plan_cache_mode = force_generic_plan
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
begin
  -- Shared: it can't be declared dead meanwhile.
  perform 1 from processes p where p.id = p_process and p.dead_at is null for key share;
  if not found then
    return 'dead';
  end if;
  update journals j set applied_batch = p_batch, applied_sequence = coalesce(p_sequence, j.applied_sequence)
   where j.process_id = p_process and j.applied_batch < p_batch;
  if not found then
    return 'repeated';
  end if;

  perform 1 from limits l where l.id = any (p_limits) order by l.id for no key update;

  update allotments o set amount = o.amount - a.spent - a.returned
    from unnest(p_limits, p_windows, p_spent, p_returned) a (limit_id, window_start, spent, returned)
   where (o.limit_id, o.window_start) = (a.limit_id, a.window_start) and o.process_id is not distinct from p_process;
  delete from allotments o where o.limit_id = any (p_limits) and o.amount = 0 and o.process_id is not distinct from p_process;

  with moved as (
    update counters c set used = c.used + a.spent, held = c.held - a.spent - a.returned
      from unnest(p_limits, p_windows, p_spent, p_returned) a (limit_id, window_start, spent, returned)
     where (c.limit_id, c.window_start) = (a.limit_id, a.window_start)
    returning c.limit_id, c.window_start, c.organization_id, c.used, a.spent
  )
  insert into limit_events (limit_id, window_start, percent, organization_id)
  select m.limit_id, m.window_start, t.percent, m.organization_id
    from moved m join limits l on l.id = m.limit_id cross join (values (50), (80), (100)) t (percent)
   -- Once per window: what was crossed before is known already, also where the bound came down to what had been used.
   where l.bound > 0 and m.spent > 0 and m.used::numeric * 100 >= l.bound::numeric * t.percent
  on conflict do nothing;

  insert into limit_events (limit_id, window_start, percent, organization_id)
  select l.id, date_trunc('minute', clock_timestamp()), e.percent, l.organization_id
    from json_to_recordset(p_events) e (limit_id uuid, percent smallint) join limits l on l.id = e.limit_id
  on conflict do nothing;

  perform write_request_logs(p_logs);

  perform pg_notify('ledger', 'freed ' || f.id || ' ' || p_process) from unnest(p_freed) f (id);
  return 'applied';
end
$$;

-- Writes log rows and, for each organization among them, one usage entry and one entry of the platform's loss. The counters must
-- have been updated before: an entry says the balance after it.
create or replace function write_request_logs(p_logs json) returns void
  language sql
as $$
  with log as materialized (
    select * from json_to_recordset(p_logs) as l (
      id uuid, organization_id uuid, started_at timestamptz, key_id uuid, key_alias text, team_id uuid, endpoint text, streamed boolean, model_group text, strategy text, provider text, model text, deployment_id uuid, attempts jsonb,
      status integer, error_code text, error_detail text, latency_ms integer, first_token_ms integer, overhead_micros integer,
      usage jsonb, input_tokens bigint, output_tokens bigint, estimated boolean, cost_nanos bigint, loss_nanos bigint,
      price_version_id uuid, consumer text, session_id text, tags text[], repeats integer, decision jsonb)
  ), usage as (
    select gen_random_uuid() as id, l.organization_id, sum(l.cost_nanos)::bigint as charge
      from log l group by l.organization_id having sum(l.cost_nanos) > 0
  ), entry as (
    insert into nemo.ledger_entries (id, organization_id, account, kind, amount_nanos, balance_after_nanos)
    select u.id, u.organization_id, 'credits', 'usage', -u.charge, nemo.balance_of(u.organization_id) from usage u
  ), loss as (
    insert into nemo.ledger_entries (id, organization_id, account, kind, amount_nanos, balance_after_nanos)
    select gen_random_uuid(), l.organization_id, 'platform_loss', 'platform_loss', sum(l.loss_nanos)::bigint, nemo.balance_of(l.organization_id)
      from log l group by l.organization_id having sum(l.loss_nanos) > 0
  ), seen as (
    update nemo.virtual_keys k set last_used_at = clock_timestamp()
     where k.id in (select key_id from log) and (k.last_used_at is null or k.last_used_at < clock_timestamp() - interval '1 minute')
  )
  insert into nemo.request_logs (
    id, organization_id, started_at, key_id, key_alias, team_id, endpoint, streamed, model_group, strategy,
    provider, model, deployment_id, attempts, status, error_code, error_detail, latency_ms, first_token_ms, overhead_micros, usage,
    input_tokens, output_tokens, estimated, cost_nanos, loss_nanos, price_version_id, entry_id, consumer, session_id, tags, repeats, decision)
  select l.id, l.organization_id, l.started_at, l.key_id, l.key_alias, l.team_id, l.endpoint, l.streamed,
         l.model_group, l.strategy, l.provider, l.model, l.deployment_id, coalesce(l.attempts, '[]'), l.status, l.error_code,
         l.error_detail, l.latency_ms, l.first_token_ms, l.overhead_micros, l.usage, l.input_tokens, l.output_tokens,
         coalesce(l.estimated, false), l.cost_nanos, coalesce(l.loss_nanos, 0), l.price_version_id,
         case when l.cost_nanos > 0 then u.id end, l.consumer, l.session_id, l.tags, coalesce(l.repeats, 1), l.decision
    from log l left join usage u on u.organization_id = l.organization_id
$$;

-- The prepaid balance: what was paid in, less what was used. What is held is still part of it.
create or replace function balance_of(p_organization uuid) returns bigint
  language sql stable
as $$
  select l.bound - coalesce(c.used, 0)
    from nemo.limits l
    left join nemo.counters c on c.limit_id = l.id
   where l.subject_id = p_organization and l.resource = 'cost' and l.window_name = 'lifetime'
$$;

-- Which of these log rows could be written: what callers and providers say can be more than Postgres reads.
create or replace function are_readable(p_logs text[]) returns boolean[]
  language plpgsql stable
as $$
declare
  v_log text;
  v_readable boolean[];
begin
  foreach v_log in array p_logs loop
    begin
      perform json_populate_record(null::nemo.request_logs, v_log::json);
      v_readable := v_readable || true;
    exception when data_exception then
      v_readable := v_readable || false;
    end;
  end loop;
  return v_readable;
end
$$;
