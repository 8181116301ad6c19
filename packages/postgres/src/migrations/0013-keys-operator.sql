-- What else a key is bound to: the endpoints that it may call and the networks that it may be used from. Null is any of them.
alter table virtual_keys
  add column allowed_endpoints text[] check (cardinality(allowed_endpoints) between 1 and 100),
  add column allowed_networks cidr[] check (cardinality(allowed_networks) between 1 and 100),
  add column rotated_at timestamptz;
create index virtual_keys_organization on virtual_keys (organization_id, id);
create index virtual_keys_team on virtual_keys (team_id, id);

drop trigger config_changed on virtual_keys;
create trigger config_changed after update of team_id, alias, hash, allowed_models, allowed_endpoints, allowed_networks, expires_at, revoked_at, default_tags or delete
  on virtual_keys for each row execute function notify_config_changed('organization');

-- Secrets that a key had before it was rotated: each works on until its time, as the same key, against the same limits.
create table rotated_secrets (
  hash bytea primary key check (octet_length(hash) = 32),
  organization_id uuid not null,
  key_id uuid not null,
  hint text not null,
  rotated_at timestamptz not null default clock_timestamp(),
  works_until timestamptz not null,
  foreign key (key_id, organization_id) references virtual_keys (id, organization_id) on delete cascade
);
create index rotated_secrets_key on rotated_secrets (key_id);
create trigger config_changed after update or delete on rotated_secrets
  for each row execute function notify_config_changed('organization');

alter table rotated_secrets enable row level security;
alter table rotated_secrets force row level security;
create policy tenant on rotated_secrets to nemo_app using (organization_id = current_organization())
  with check (organization_id = current_organization());
create policy operator on rotated_secrets to nemo_operator using (true) with check (true);
create policy kernel on rotated_secrets to nemo_kernel using (true);
grant select on rotated_secrets to nemo_kernel;
grant select, insert, delete on rotated_secrets to nemo_app, nemo_operator;

-- Tenants make and change keys of their own. What is revoked stays revoked, and whose a key is never changes.
grant insert (id, organization_id, team_id, alias, hash, hint, allowed_models, allowed_endpoints, allowed_networks, expires_at, default_tags),
  update (team_id, alias, hash, hint, allowed_models, allowed_endpoints, allowed_networks, expires_at, revoked_at, rotated_at, default_tags)
  on virtual_keys to nemo_app;
create policy revoked_stays on virtual_keys as restrictive for update to nemo_app using (revoked_at is null) with check (true);

-- They set limits of keys, and no others: the balance is one too.
grant insert (id, organization_id, subject, subject_id, resource, window_name, bound), update (bound), delete on limits to nemo_app;
create policy tenant_limits_keys on limits as restrictive for insert to nemo_app
  with check (subject = 'key' and exists (select 1 from virtual_keys k where k.id = subject_id));
create policy tenant_changes_keys on limits as restrictive for update to nemo_app using (subject = 'key') with check (subject = 'key');
create policy tenant_lifts_keys on limits as restrictive for delete to nemo_app using (subject = 'key');

-- Whoever has one of these may make the operator's account, once. Every start without an operator makes one, and prints it.
create table operator_claims (
  hash bytea primary key check (octet_length(hash) = 32),
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null
);
grant select, insert, delete on operator_claims to nemo_operator;

-- Signing in makes nobody an operator.
create function operators_make_operators() returns trigger
  language plpgsql
as $$
begin
  if current_user not in ('nemo_app', 'nemo_identity') then
    return new;
  end if;
  raise exception 'only the operator makes operators' using errcode = 'insufficient_privilege';
end
$$;
create trigger operators_make_operators before update of is_operator on users
  for each row when (new.is_operator is distinct from old.is_operator) execute function operators_make_operators();
create trigger operators_are_made before insert on users
  for each row when (new.is_operator) execute function operators_make_operators();
