-- Takes back credits that a payment was reversed for: what is neither spent nor held, and the rest is the platform's loss. An entry says each.
-- Idempotent by (organization, reference). Unless `p_whatever_there_is`, throws when something is held that might be enough: processes hold some
-- of it idle, and can be asked to give that back first.
create or replace function claw_back(p_organization uuid, p_amount bigint, p_reference text, p_note text, p_whatever_there_is boolean)
  returns table (clawed bigint, lost bigint)
  language plpgsql security definer set search_path = nemo, pg_temp
as $$
#variable_conflict use_column
declare
  v_limit uuid;
  v_left bigint;
  v_held bigint;
begin
  if p_amount <= 0 or p_reference is null then
    raise exception 'nothing to take back' using errcode = 'check_violation';
  end if;
  select l.id into v_limit from limits l
   where l.organization_id = p_organization and l.subject = 'organization' and l.window_name = 'lifetime'
   for no key update;
  if v_limit is null then
    raise exception 'organization % has no credit balance', p_organization using errcode = 'no_data_found';
  end if;

  select coalesce(-sum(e.amount_nanos) filter (where e.kind = 'refund'), 0)::bigint,
         coalesce(sum(e.amount_nanos) filter (where e.kind = 'platform_loss'), 0)::bigint
    into clawed, lost
    from ledger_entries e where e.organization_id = p_organization and e.kind in ('refund', 'platform_loss') and e.reference = p_reference;
  if clawed + lost > 0 then
    return next;
    return;
  end if;

  select l.bound - coalesce(c.used + c.held, 0), coalesce(c.held, 0) into v_left, v_held
    from limits l left join counters c on c.limit_id = l.id where l.id = v_limit;
  if v_left < p_amount and v_held > 0 and not p_whatever_there_is then
    raise exception 'only % nanodollars are neither spent nor held', v_left using errcode = 'check_violation';
  end if;
  clawed := least(p_amount, greatest(v_left, 0));
  lost := p_amount - clawed;

  if clawed > 0 then
    update limits l set bound = l.bound - clawed where l.id = v_limit;
    insert into ledger_entries (id, organization_id, account, kind, amount_nanos, balance_after_nanos, reference, note)
    values (gen_random_uuid(), p_organization, 'credits', 'refund', -clawed, balance_of(p_organization), p_reference, p_note);
  end if;
  if lost > 0 then
    perform post_platform_entry(p_organization, 'platform_loss', lost, p_reference, p_note);
  end if;
  return next;
end
$$;

-- Nobody else changes the balance until the transaction ends. A function, because no policy lets the operator lock the row itself: it would be passed over.
create or replace function lock_credits(p_organization uuid) returns void
  language plpgsql security definer set search_path = nemo, pg_temp
as $$
begin
  perform 1 from limits l
   where l.organization_id = p_organization and l.subject = 'organization' and l.window_name = 'lifetime'
   for no key update;
  if not found then
    raise exception 'organization % has no credit balance', p_organization using errcode = 'no_data_found';
  end if;
end
$$;

-- Writes an entry of what the platform earned (`fee`) or lost (`platform_loss`), which no balance is made of. Idempotent by (organization, kind, reference).
create or replace function post_platform_entry(p_organization uuid, p_kind text, p_amount bigint, p_reference text, p_note text) returns void
  language plpgsql security definer set search_path = nemo, pg_temp
as $$
begin
  if p_kind not in ('fee', 'platform_loss') then
    raise exception 'an entry of kind % is not the platform''s', p_kind using errcode = 'check_violation';
  end if;
  insert into ledger_entries (id, organization_id, account, kind, amount_nanos, balance_after_nanos, reference, note)
  values (gen_random_uuid(), p_organization, case p_kind when 'fee' then 'platform_fee' else 'platform_loss' end, p_kind, p_amount,
          balance_of(p_organization), p_reference, p_note)
  on conflict (organization_id, kind, reference) do nothing;
end
$$;

-- What a process must know of an organization's top-ups to let a call wait rather than refuse it: whether one is under way, and below which balance one
-- begins by itself. Null where there are none.
create or replace function top_up_of(p_organization uuid) returns json
  language sql stable
as $$
  select json_build_object(
      'isPending', p.is_pending,
      'belowNanos', case when a.top_up_enabled and a.top_up_failure is null and nemo.top_up_fits(a.organization_id, clock_timestamp())
                         then a.top_up_below_nanos::text end)
    from nemo.billing_accounts a
    -- One that is under way brings credits also after topping up was turned off.
    cross join lateral (
      select exists (select 1 from nemo.purchases t where t.organization_id = a.organization_id and t.source = 'top-up' and t.state = 'pending') as is_pending) p
   where a.organization_id = p_organization and (a.top_up_enabled or p.is_pending)
$$;

-- Whether the month's cap has room for one more top-up, fee included. An organization that is suspended, or about to be deleted, isn't charged.
create or replace function top_up_fits(p_organization uuid, p_now timestamptz) returns boolean
  language sql stable
as $$
  select a.top_up_cents + (a.top_up_cents * t.fee_basis_points + 5000) / 10000 + (
           select coalesce(sum(p.total_cents), 0) from nemo.purchases p
            where p.organization_id = a.organization_id and p.source = 'top-up' and p.state in ('pending', 'paid')
              and p.created_at >= date_trunc('month', p_now, 'UTC')) <= a.top_up_month_cents
    from nemo.billing_accounts a join nemo.organizations o on o.id = a.organization_id join nemo.billing_tiers t on t.id = o.tier_id
   where a.organization_id = p_organization and coalesce(o.suspended_at, o.delete_after, o.deleted_at) is null
$$;
