-- Ends holds: puts what was used in the place of what was held, and writes the charge and the request's log row with it.
-- Releasing is settling zero. A hold that has ended already is passed over with its log row, so that settling twice does nothing.
--
--   p_hold_ids, p_costs, p_tokens, p_requests   one each per hold: nanodollars, tokens, and 1 or 0 for the request itself
--   p_logs    a JSON array of request_logs rows; those whose id is not among p_hold_ids are of calls that were never admitted
--
-- Answers with a row for each hold that ended now: what was charged, and what the platform bears because the bill was larger
-- than the hold and what was left of its limits.
create or replace function settle(p_hold_ids uuid[], p_costs bigint[], p_tokens bigint[], p_requests bigint[], p_logs json)
  returns table (hold_id uuid, charged_nanos bigint, loss_nanos bigint)
  language plpgsql security definer set search_path = nemo, pg_temp
as $$
#variable_conflict use_column
declare
  v_hold record;
  v_limits uuid[];
  v_windows timestamptz[];
  v_resources text[];
  v_room bigint[];
  v_used bigint[];
  v_held bigint[];
  v_ended uuid[] := '{}';
  v_organizations uuid[] := '{}';
  v_charges bigint[] := '{}';
  v_losses bigint[] := '{}';
  v_charge bigint;
  v_reserved bigint;
  v_actual bigint;
  v_counter integer;
begin
  -- The same order as in reserve; then the holds, so that one without limits can't be ended twice either.
  perform 1 from limits l
   where l.id in (select unnest(h.limit_ids) from holds h where h.id = any (p_hold_ids))
   order by l.id for no key update;
  perform 1 from holds h where h.id = any (p_hold_ids) order by h.id for update;

  -- The counters that the holds stand in, and what is left of each.
  select array_agg(k.limit_id order by k.n), array_agg(k.window_start order by k.n), array_agg(k.resource order by k.n),
         array_agg(k.room order by k.n), array_agg(0::bigint order by k.n), array_agg(0::bigint order by k.n)
    into v_limits, v_windows, v_resources, v_room, v_used, v_held
    from (
      select c.limit_id, c.window_start, l.resource, greatest(l.bound - c.used - c.held, 0) as room,
             row_number() over () as n
        from (select distinct a.limit_id, a.window_start
                from holds h, unnest(h.limit_ids, h.window_starts) a (limit_id, window_start)
               where h.id = any (p_hold_ids)) w
        join counters c on (c.limit_id, c.window_start) = (w.limit_id, w.window_start)
        join limits l on l.id = c.limit_id
    ) k;

  for v_hold in
    select h.id, h.organization_id, h.expired_at is not null as expired, p.cost, p.tokens, p.requests,
           array_agg(k.n) filter (where k.n is not null) as counters,
           array_agg(a.amount) filter (where k.n is not null) as amounts
      from (select distinct on (id) id, cost, tokens, requests
              from unnest(p_hold_ids, p_costs, p_tokens, p_requests) p (id, cost, tokens, requests)) p
      join holds h on h.id = p.id
      left join lateral unnest(h.limit_ids, h.window_starts, h.amounts) a (limit_id, window_start, amount) on true
      left join unnest(v_limits, v_windows) with ordinality k (limit_id, window_start, n)
        on (k.limit_id, k.window_start) = (a.limit_id, a.window_start)
     group by h.id, h.organization_id, p.cost, p.tokens, p.requests
  loop
    -- A bill beyond the hold is taken as far as every limit on cost has room for it. A hold that expired holds nothing.
    v_charge := v_hold.cost;
    for i in 1 .. coalesce(cardinality(v_hold.counters), 0) loop
      v_counter := v_hold.counters[i];
      if v_resources[v_counter] = 'cost' then
        v_reserved := case when v_hold.expired then 0 else v_hold.amounts[i] end;
        v_charge := least(v_charge, v_reserved + v_room[v_counter]);
      end if;
    end loop;

    for i in 1 .. coalesce(cardinality(v_hold.counters), 0) loop
      v_counter := v_hold.counters[i];
      v_reserved := case when v_hold.expired then 0 else v_hold.amounts[i] end;
      v_actual := case v_resources[v_counter]
        when 'cost' then v_charge
        when 'tokens' then v_hold.tokens
        when 'requests' then v_hold.requests
        else 0 end;
      v_used[v_counter] := v_used[v_counter] + v_actual;
      v_held[v_counter] := v_held[v_counter] + v_reserved;
      v_room[v_counter] := greatest(v_room[v_counter] + v_reserved - v_actual, 0);
    end loop;

    v_ended := v_ended || v_hold.id;
    v_organizations := v_organizations || v_hold.organization_id;
    v_charges := v_charges || v_charge;
    v_losses := v_losses || (v_hold.cost - v_charge);
  end loop;

  update counters c set used = c.used + k.used, held = c.held - k.held
    from unnest(v_limits, v_windows, v_used, v_held) k (limit_id, window_start, used, held)
   where (c.limit_id, c.window_start) = (k.limit_id, k.window_start) and (k.used <> 0 or k.held <> 0);

  delete from holds h where h.id = any (v_ended);

  -- One usage entry per organization and batch; the log rows carry each request's charge and name the entry.
  with ended as (
    select e.id, e.organization_id, e.charge, e.loss
      from unnest(v_ended, v_organizations, v_charges, v_losses) e (id, organization_id, charge, loss)
  ), usage as (
    select gen_random_uuid() as id, e.organization_id, sum(e.charge)::bigint as charge
      from ended e group by e.organization_id having sum(e.charge) > 0
  ), entry as (
    insert into ledger_entries (id, organization_id, account, kind, amount_nanos, balance_after_nanos)
    select u.id, u.organization_id, 'credits', 'usage', -u.charge, balance_of(u.organization_id) from usage u
  ), loss as (
    insert into ledger_entries (id, organization_id, account, kind, amount_nanos, balance_after_nanos)
    select gen_random_uuid(), e.organization_id, 'platform_loss', 'platform_loss', sum(e.loss)::bigint, balance_of(e.organization_id)
      from ended e group by e.organization_id having sum(e.loss) > 0
  )
  insert into request_logs (
    id, organization_id, started_at, key_id, key_alias, team_id, endpoint, streamed, model_group, strategy, provider, model,
    deployment_id, attempts, status, error_code, error_detail, latency_ms, first_token_ms, overhead_micros, usage, input_tokens,
    output_tokens, estimated, cost_nanos, loss_nanos, price_version_id, entry_id, consumer, session_id, tags)
  select l.id, l.organization_id, l.started_at, l.key_id, l.key_alias, l.team_id, l.endpoint, l.streamed, l.model_group, l.strategy,
         l.provider, l.model, l.deployment_id, coalesce(l.attempts, '[]'), l.status, l.error_code, l.error_detail, l.latency_ms,
         l.first_token_ms, l.overhead_micros, l.usage, l.input_tokens, l.output_tokens, coalesce(l.estimated, false),
         case when l.price_version_id is not null then e.charge end, coalesce(e.loss, 0), l.price_version_id,
         case when e.charge > 0 then u.id end, l.consumer, l.session_id, l.tags
    from json_to_recordset(p_logs) as l (
      id uuid, organization_id uuid, started_at timestamptz, key_id uuid, key_alias text, team_id uuid, endpoint text,
      streamed boolean, model_group text, strategy text, provider text, model text, deployment_id uuid, attempts jsonb,
      status integer, error_code text, error_detail text, latency_ms integer, first_token_ms integer, overhead_micros integer,
      usage jsonb, input_tokens bigint, output_tokens bigint, estimated boolean, price_version_id uuid, consumer text,
      session_id text, tags text[])
    left join ended e on e.id = l.id
    left join usage u on u.organization_id = e.organization_id
   where e.id is not null or l.id <> all (p_hold_ids);

  update virtual_keys k set last_used_at = clock_timestamp()
   where k.id in (select (l ->> 'key_id')::uuid from json_array_elements(p_logs) l)
     and (k.last_used_at is null or k.last_used_at < clock_timestamp() - interval '1 minute');

  return query select * from unnest(v_ended, v_charges, v_losses);
end
$$;

-- The prepaid balance: what was paid in, less what was used. What is held is still part of it.
create or replace function balance_of(p_organization uuid) returns bigint
  language sql stable
as $$
  select l.bound - coalesce(c.used, 0)
    from nemo.limits l
    left join nemo.counters c on c.limit_id = l.id
   where l.organization_id = p_organization and l.subject = 'organization' and l.window_name = 'lifetime'
$$;
