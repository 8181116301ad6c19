-- Puts money in, or takes unspent money out, and writes the entry that says so. Idempotent by (organization, kind, reference):
-- a repeated call answers with the entry of the first. What is spent or held can't be taken out.
create or replace function post_entry(p_organization uuid, p_kind text, p_amount bigint, p_reference text, p_note text)
  returns table (entry_id uuid, balance_after_nanos bigint, applied boolean)
  language plpgsql security definer set search_path = nemo, pg_temp
as $$
#variable_conflict use_column
declare
  v_limit uuid;
  v_left bigint;
begin
  if p_kind not in ('purchase', 'grant', 'refund', 'adjustment') then
    raise exception 'an entry of kind % is not posted by hand', p_kind using errcode = 'check_violation';
  end if;
  if p_amount = 0 then
    raise exception 'an entry of zero says nothing' using errcode = 'check_violation';
  end if;

  select l.id into v_limit from limits l
   where l.organization_id = p_organization and l.subject = 'organization' and l.window_name = 'lifetime'
   for no key update;
  if v_limit is null then
    raise exception 'organization % has no credit balance', p_organization using errcode = 'no_data_found';
  end if;

  return query select e.id, e.balance_after_nanos, false from ledger_entries e
    where e.organization_id = p_organization and e.kind = p_kind and e.reference = p_reference;
  if found then
    return;
  end if;

  select l.bound - coalesce(c.used + c.held, 0) into v_left
    from limits l left join counters c on c.limit_id = l.id where l.id = v_limit;
  if v_left + p_amount < 0 then
    raise exception 'only % nanodollars are neither spent nor held', v_left using errcode = 'check_violation';
  end if;

  update limits l set bound = l.bound + p_amount where l.id = v_limit;
  return query
    insert into ledger_entries (id, organization_id, account, kind, amount_nanos, balance_after_nanos, reference, note)
    values (gen_random_uuid(), p_organization, 'credits', p_kind, p_amount, balance_of(p_organization), p_reference, p_note)
    returning id, balance_after_nanos, true;
end
$$;
