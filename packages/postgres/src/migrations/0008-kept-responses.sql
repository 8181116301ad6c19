-- Whether an organization lets the gateway keep what its responses were made of, so that the next one can go on from there by its id. Off unless it says so.
alter table organizations add column keep_responses boolean not null default false;

drop trigger config_changed on organizations;
create trigger config_changed after update of uncapped, drop_unsupported, strategy, keep_responses on organizations
  for each row execute function notify_config_changed('organization');

-- The items of a conversation up to a response, as the Responses API has them.
create table kept_responses (
  organization_id uuid not null references organizations,
  id text not null check (length(id) between 1 and 100),
  items jsonb not null check (jsonb_typeof(items) = 'array'),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null default now() + interval '30 days',
  primary key (organization_id, id)
);
create index kept_responses_expired on kept_responses (expires_at);

alter table kept_responses enable row level security;
alter table kept_responses force row level security;
create policy tenant on kept_responses to nemo_app using (organization_id = current_organization())
  with check (organization_id = current_organization());
create policy operator on kept_responses to nemo_operator using (true) with check (true);
grant select, insert on kept_responses to nemo_app;
grant select, delete on kept_responses to nemo_operator;
