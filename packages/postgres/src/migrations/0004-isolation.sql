-- Row-level security on every table with an organization, forced, so that it binds the owner too.
do $$
declare
  t text;
begin
  foreach t in array array['teams', 'virtual_keys', 'limits', 'counters', 'allotments', 'limit_events', 'ledger_entries', 'request_logs'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format('create policy tenant on %I to nemo_app using (organization_id = current_organization())
                    with check (organization_id = current_organization())', t);
    execute format('create policy operator on %I to nemo_operator using (true) with check (true)', t);
    execute format('create policy kernel on %I to nemo_kernel using (true) with check (true)', t);
  end loop;

  -- A group without an organization is everyone's to read and the operator's to write.
  foreach t in array array['model_groups', 'deployments'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format('create policy tenant on %I to nemo_app
                    using (organization_id is null or organization_id = current_organization())
                    with check (organization_id = current_organization())', t);
    execute format('create policy operator on %I to nemo_operator using (true) with check (true)', t);
  end loop;
end
$$;

alter table organizations enable row level security;
alter table organizations force row level security;
create policy tenant on organizations to nemo_app using (id = current_organization());
create policy operator on organizations to nemo_operator using (true) with check (true);
create policy kernel on organizations to nemo_kernel using (true);

-- Tenants read what is theirs. What moves money moves through the kernel's functions only.
grant select on organizations, teams, virtual_keys, limits, counters, allotments, limit_events, ledger_entries, request_logs,
  model_groups, deployments, models, prices to nemo_app;

grant select on all tables in schema nemo to nemo_operator;
grant insert, update on organizations, teams, virtual_keys, provider_credentials, models, model_groups, deployments to nemo_operator;
grant insert on prices to nemo_operator;
grant insert, update, delete on limits to nemo_operator;
grant delete on provider_credentials, model_groups, deployments to nemo_operator;

grant select on organizations, virtual_keys to nemo_kernel;
grant update (last_used_at) on virtual_keys to nemo_kernel;
grant select, update on limits to nemo_kernel;
grant select, insert, update, delete on counters, allotments, processes, journals, deployment_loads to nemo_kernel;
grant select, insert on ledger_entries, request_logs, limit_events to nemo_kernel;

-- Only credits are paid in, and only by post_entry: no role but the kernel may touch the prepaid balance once it is there.
create policy operator_leaves_credits on limits as restrictive for update to nemo_operator
  using (window_name <> 'lifetime') with check (window_name <> 'lifetime');
create policy operator_keeps_credits on limits as restrictive for delete to nemo_operator
  using (window_name <> 'lifetime');
create policy operator_opens_empty_credits on limits as restrictive for insert to nemo_operator
  with check (window_name <> 'lifetime' or bound = 0);

-- Whoever changes what the gateway keeps in memory tells every process, in the same transaction.
create function notify_config_changed() returns trigger
  language plpgsql
as $$
declare
  organization uuid;
begin
  if tg_argv[0] = 'catalogue' then
    perform pg_notify('config_changed', 'catalogue');
  else
    if tg_table_name = 'organizations' then
      organization := new.id;
    else
      organization := case tg_op when 'DELETE' then old.organization_id else new.organization_id end;
    end if;
    perform pg_notify('config_changed', 'organization:' || organization);
  end if;
  return null;
end
$$;

create trigger config_changed after update of uncapped on organizations
  for each row execute function notify_config_changed('organization');
create trigger config_changed after insert or update or delete on limits
  for each row execute function notify_config_changed('organization');
create trigger config_changed after update of team_id, alias, allowed_models, expires_at, revoked_at or delete on virtual_keys
  for each row execute function notify_config_changed('organization');

do $$
declare
  t text;
begin
  foreach t in array array['provider_credentials', 'models', 'prices', 'model_groups', 'deployments'] loop
    execute format('create trigger config_changed after insert or update or delete on %I
                    for each statement execute function notify_config_changed(''catalogue'')', t);
  end loop;
end
$$;

-- A child's limit may not exceed its parent's of the same resource and window: key and consumer ≤ team ≤ organization.
create function limits_nest() returns trigger
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
     limit 1;
    if found then
      raise exception 'a % has a limit of %, which would exceed %: lower that first', v_other.subject, v_other.bound, new.bound
        using errcode = 'check_violation';
    end if;
  end if;
  return new;
end
$$;
create trigger limits_nest before insert or update of bound on limits for each row execute function limits_nest();
