-- What was done, by whom, to what. Append-only: no role is granted update or delete, a trigger refuses both to whoever may by other means, and every
-- entry carries the hash of the one before it, so that a change, a gap and another order show. Without an organization an entry is the operator's own.
create table audit_log (
  id uuid primary key,
  organization_id uuid references organizations,
  sequence bigint not null,
  at timestamptz not null,
  actor_kind text not null check (actor_kind in ('user', 'token', 'operator', 'system')),
  actor_id text check (length(actor_id) <= 200),
  actor_label text check (length(actor_label) <= 320),
  address text check (length(address) <= 100),
  action text not null check (action ~ '^[a-z][a-z0-9_-]{0,62}(\.[a-z][a-z0-9_-]{0,62}){1,3}$'),
  subject_type text not null check (length(subject_type) between 1 and 64),
  subject_id text check (length(subject_id) <= 200),
  subject_label text check (length(subject_label) <= 320),
  -- Canonical JSON as it was written, byte by byte: the hash is over it.
  before json,
  after json,
  previous_hash text not null check (previous_hash ~ '^[0-9a-f]{64}$'),
  hash text not null check (hash ~ '^[0-9a-f]{64}$'),
  unique nulls not distinct (organization_id, sequence)
);
create index audit_log_action on audit_log (organization_id, action, sequence desc);
create index audit_log_actor on audit_log (organization_id, actor_id, sequence desc);
create index audit_log_subject on audit_log (organization_id, subject_id, sequence desc);
create index audit_log_at on audit_log (organization_id, at desc, sequence desc, id desc);

-- Where each chain ends: what appending takes turns at, and what shows that the end of a chain was cut off.
create table audit_heads (
  organization_id uuid references organizations,
  sequence bigint not null,
  hash text not null,
  at timestamptz not null,
  unique nulls not distinct (organization_id)
);

-- Gives an entry its place in the chain. In the database, so that whatever code inserts can neither choose a place nor race for one: the row of
-- audit_heads is held until the transaction ends. The text that is hashed is canonical JSON (RFC 8785), which packages/domain/src/audit-entry.ts makes too.
create function chain_audit_entry() returns trigger
  language plpgsql security definer set search_path = nemo, pg_temp
as $$
declare
  v_head audit_heads%rowtype;
begin
  insert into audit_heads as h (organization_id, sequence, hash, at)
    values (new.organization_id, 1, repeat('0', 64), clock_timestamp())
    on conflict (organization_id) do update set sequence = h.sequence + 1, at = greatest(h.at, clock_timestamp())
    returning h.* into v_head;
  new.sequence := v_head.sequence;
  new.at := date_trunc('milliseconds', v_head.at);
  new.previous_hash := v_head.hash;
  new.hash := encode(sha256(convert_to(concat(
    '{"action":', to_json(new.action),
    ',"actor":{"id":', coalesce(to_json(new.actor_id)::text, 'null'), ',"kind":', to_json(new.actor_kind),
    ',"label":', coalesce(to_json(new.actor_label)::text, 'null'), '}',
    ',"address":', coalesce(to_json(new.address)::text, 'null'),
    ',"after":', coalesce(new.after::text, 'null'),
    ',"at":"', to_char(new.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), '"',
    ',"before":', coalesce(new.before::text, 'null'),
    ',"id":"', new.id, '"',
    ',"organization_id":', coalesce(to_json(new.organization_id)::text, 'null'),
    ',"previous_hash":"', new.previous_hash, '"',
    ',"sequence":', new.sequence,
    ',"subject":{"id":', coalesce(to_json(new.subject_id)::text, 'null'),
    ',"label":', coalesce(to_json(new.subject_label)::text, 'null'), ',"type":', to_json(new.subject_type), '}}'), 'UTF8')), 'hex');
  update audit_heads h set hash = new.hash where h.organization_id is not distinct from new.organization_id;
  return new;
end
$$;
create trigger chain_audit_entry before insert on audit_log for each row execute function chain_audit_entry();

create function refuse_to_rewrite_history() returns trigger
  language plpgsql
as $$
begin
  raise exception 'entries of the audit log are never changed or deleted' using errcode = 'insufficient_privilege';
end
$$;
create trigger refuse_to_rewrite_history before update or delete or truncate on audit_log
  for each statement execute function refuse_to_rewrite_history();

-- Where an organization wants events sent. The secret that they are signed with is sealed under NEMO_MASTER_KEY; the one before it signs too for a while.
create table webhook_endpoints (
  id uuid primary key,
  organization_id uuid not null references organizations,
  url text not null check (length(url) between 1 and 2000),
  description text not null default '' check (length(description) <= 500),
  -- Types of events, or `credits.*`, or `*`.
  events text[] not null check (cardinality(events) between 1 and 50),
  secret bytea not null,
  previous_secret bytea,
  previous_secret_until timestamptz,
  enabled boolean not null default true,
  disabled_because text check (disabled_because in ('asked', 'failing', 'gone')),
  -- Since when nothing has been delivered. Null while the last delivery went well.
  failing_since timestamptz,
  created_at timestamptz not null default clock_timestamp(),
  unique (id, organization_id),
  check (enabled = (disabled_because is null))
);
create index webhook_endpoints_organization on webhook_endpoints (organization_id, id);

-- A tenant who changes a secret can't read the one that it takes the place of. The operator, who seals both anew under another key, writes both.
create function keep_previous_secret() returns trigger
  language plpgsql
as $$
begin
  new.previous_secret := case when new.previous_secret_until is not null then old.secret end;
  return new;
end
$$;
create trigger keep_previous_secret before update of secret on webhook_endpoints
  for each row when (current_user <> 'nemo_operator') execute function keep_previous_secret();

-- The outbox: an event is written with what it tells of, in one transaction, as the very text that is signed and sent.
create table webhook_events (
  id uuid primary key,
  organization_id uuid not null references organizations,
  type text not null check (length(type) between 1 and 200),
  body text not null,
  created_at timestamptz not null default clock_timestamp(),
  unique (id, organization_id)
);
create index webhook_events_created on webhook_events (created_at);

-- One event on its way to one endpoint.
create table webhook_deliveries (
  id uuid primary key,
  organization_id uuid not null references organizations,
  endpoint_id uuid not null,
  event_id uuid not null,
  state text not null default 'pending' check (state in ('pending', 'delivered', 'dead')),
  -- Tries since it was written or last replayed.
  tries integer not null default 0 check (tries >= 0),
  next_try_at timestamptz not null default clock_timestamp(),
  created_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  unique (endpoint_id, event_id),
  unique (id, organization_id),
  foreign key (endpoint_id, organization_id) references webhook_endpoints (id, organization_id) on delete cascade,
  foreign key (event_id, organization_id) references webhook_events (id, organization_id) on delete cascade
);
create index webhook_deliveries_due on webhook_deliveries (endpoint_id, next_try_at) where state = 'pending';
create index webhook_deliveries_event on webhook_deliveries (event_id);
create index webhook_deliveries_endpoint on webhook_deliveries (endpoint_id, created_at desc, id desc);

-- Every try, with what came back.
create table webhook_attempts (
  id uuid primary key,
  organization_id uuid not null references organizations,
  delivery_id uuid not null,
  at timestamptz not null default clock_timestamp(),
  status integer,
  error text check (length(error) <= 500),
  duration_ms integer not null,
  -- The first kilobyte.
  response text check (length(response) <= 1024),
  foreign key (delivery_id, organization_id) references webhook_deliveries (id, organization_id) on delete cascade
);
create index webhook_attempts_delivery on webhook_attempts (delivery_id, at);

do $$
declare
  t text;
begin
  foreach t in array array['audit_log', 'audit_heads', 'webhook_endpoints', 'webhook_events', 'webhook_deliveries', 'webhook_attempts'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format('create policy tenant on %I to nemo_app using (organization_id = current_organization())
                    with check (organization_id = current_organization())', t);
    execute format('create policy operator on %I to nemo_operator using (true) with check (true)', t);
  end loop;
end
$$;

grant select on audit_log, audit_heads to nemo_app, nemo_operator;
grant insert (id, organization_id, actor_kind, actor_id, actor_label, address, action, subject_type, subject_id, subject_label, before, after)
  on audit_log to nemo_app, nemo_operator;
create policy kernel on audit_heads to nemo_kernel using (true) with check (true);
grant select, insert, update on audit_heads to nemo_kernel;

grant create on schema nemo to nemo_kernel;
revoke execute on function chain_audit_entry() from public;
alter function chain_audit_entry() owner to nemo_kernel;
revoke create on schema nemo from nemo_kernel;

-- Tenants never read a secret, sealed as it is.
grant select (id, organization_id, url, description, events, previous_secret_until, enabled, disabled_because, failing_since, created_at)
  on webhook_endpoints to nemo_app;
grant insert (id, organization_id, url, description, events, secret), delete on webhook_endpoints to nemo_app;
grant update (url, description, events, secret, previous_secret_until, enabled, disabled_because, failing_since)
  on webhook_endpoints to nemo_app, nemo_operator;
grant update (previous_secret) on webhook_endpoints to nemo_operator;
grant select on webhook_events, webhook_deliveries, webhook_attempts to nemo_app;
grant insert on webhook_events, webhook_deliveries to nemo_app, nemo_operator;
grant update (state, tries, next_try_at, finished_at) on webhook_deliveries to nemo_app, nemo_operator;
grant select on webhook_endpoints, webhook_events, webhook_deliveries, webhook_attempts to nemo_operator;
grant insert on webhook_attempts to nemo_operator;
grant delete on webhook_endpoints, webhook_events to nemo_operator;

-- Limits that were crossed become events a moment later, by whoever sends webhooks: what settles charges does nothing but that.
alter table limit_events add column announced boolean not null default false;
update limit_events set announced = true;
create index limit_events_unannounced on limit_events (at) where not announced;
grant update (announced) on limit_events to nemo_operator;
