-- Tenants set limits of their teams, and budgets of their organization. What they have paid in (`lifetime`), and how fast the operator lets an organization call, they
-- don't.
drop policy tenant_limits_keys on limits;
drop policy tenant_changes_keys on limits;
drop policy tenant_lifts_keys on limits;
create policy tenant_sets on limits as restrictive for insert to nemo_app with check (
  subject = 'key' and exists (select 1 from virtual_keys k where k.id = subject_id)
  or subject = 'team' and exists (select 1 from teams t where t.id = subject_id and t.archived_at is null)
  or subject = 'organization' and subject_id = organization_id and resource = 'cost' and window_name <> 'lifetime');
create policy tenant_changes on limits as restrictive for update to nemo_app
  using (subject in ('key', 'team') or subject = 'organization' and resource = 'cost' and window_name <> 'lifetime')
  with check (subject in ('key', 'team') or subject = 'organization' and resource = 'cost' and window_name <> 'lifetime');
create policy tenant_lifts on limits as restrictive for delete to nemo_app
  using (subject in ('key', 'team') or subject = 'organization' and resource = 'cost' and window_name <> 'lifetime');

-- As before, but that a revoked key, whose limits nobody can lower any more, holds no team or organization to them.
create or replace function limits_nest() returns trigger
  language plpgsql
as $$
declare
  v_other record;
begin
  if new.window_name = 'lifetime' then
    return new;
  end if;
  select l.subject, l.bound into v_other from limits l
   where l.resource = new.resource and l.window_name = new.window_name and l.bound < new.bound
     and l.subject in ('organization', 'team')
     and l.subject_id in (
       select new.organization_id where new.subject <> 'organization'
       union all
       select k.team_id from virtual_keys k where new.subject = 'key' and k.id = new.subject_id)
   limit 1;
  if found then
    raise exception 'a limit of the % of % exceeds the one of its %, which is %', new.subject, new.bound, v_other.subject, v_other.bound
      using errcode = 'check_violation';
  end if;
  if new.subject in ('organization', 'team') then
    select l.subject, l.bound into v_other from limits l
     where l.organization_id = new.organization_id and l.resource = new.resource and l.window_name = new.window_name and l.bound > new.bound
       and (new.subject = 'organization' and l.subject <> 'organization'
         or new.subject = 'team' and l.subject = 'key'
           and l.subject_id in (select k.id from virtual_keys k where k.team_id = new.subject_id))
       and not (l.subject = 'key' and exists (select from virtual_keys k where k.id = l.subject_id and k.revoked_at is not null))
     limit 1;
    if found then
      raise exception 'a % has a limit of %, which would exceed %: lower that first', v_other.subject, v_other.bound, new.bound
        using errcode = 'check_violation';
    end if;
  end if;
  return new;
end
$$;
