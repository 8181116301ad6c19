-- Where calls go when no deployment of a group answers: the names of further groups, in their order.
alter table model_groups add column chain text[] not null default '{}' check (cardinality(chain) <= 4);

-- What an organization says of routing beside its strategy: retries, timeouts, cooldown, and by group chain, weights, drops. packages/domain/src/routing-settings.ts reads it.
alter table organizations add column routing jsonb not null default '{}' check (jsonb_typeof(routing) = 'object' and length(routing::text) < 100000);

drop trigger config_changed on organizations;
create trigger config_changed after update of uncapped, drop_unsupported, strategy, keep_responses, routing on organizations
  for each row execute function notify_config_changed('organization');

-- Tags that every call with the key asks for, beside those of the request.
alter table virtual_keys add column default_tags text[] not null default '{}' check (cardinality(default_tags) <= 100);

drop trigger config_changed on virtual_keys;
create trigger config_changed after update of team_id, alias, allowed_models, expires_at, revoked_at, default_tags or delete on virtual_keys
  for each row execute function notify_config_changed('organization');

-- Deployments that are left out for now: for one organization, or, where none is named, for everyone, because the fault is the platform's. Gone when they are well again.
create table deployment_health (
  organization_id uuid references organizations on delete cascade,
  deployment_id uuid not null references deployments on delete cascade,
  cooling_until timestamptz not null,
  asked boolean not null,
  fault text not null,
  -- The one process that tries whether it is well again, and until when it may take for that.
  probed_by uuid,
  probe_until timestamptz,
  changed_at timestamptz not null default clock_timestamp(),
  unique nulls not distinct (organization_id, deployment_id)
);
create index deployment_health_deployment on deployment_health (deployment_id);

alter table deployment_health enable row level security;
alter table deployment_health force row level security;
create policy tenant on deployment_health to nemo_app using (organization_id = current_organization())
  with check (organization_id = current_organization());
create policy operator on deployment_health to nemo_operator using (true) with check (true);
create policy kernel on deployment_health to nemo_kernel using (true) with check (true);
grant select on deployment_health to nemo_app;
grant select, insert, update, delete on deployment_health to nemo_operator, nemo_kernel;

create policy kernel on deployments to nemo_kernel using (true);
grant select on deployments to nemo_kernel;
