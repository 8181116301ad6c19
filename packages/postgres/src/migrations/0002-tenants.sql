create table organizations (
  id uuid primary key,
  name text not null check (length(name) between 1 and 200),
  slug text not null unique check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  -- What becomes of a call that says nothing about the length of its answer and doesn't fit in full: sent with the length that fits, or refused.
  uncapped text not null default 'clamp' check (uncapped in ('clamp', 'refuse')),
  created_at timestamptz not null default now()
);

create table teams (
  id uuid primary key,
  organization_id uuid not null references organizations,
  name text not null check (length(name) between 1 and 200),
  created_at timestamptz not null default now(),
  unique (organization_id, name),
  unique (id, organization_id)
);

-- A key is stored as the SHA-256 of itself; the hint is what a list may show.
create table virtual_keys (
  id uuid primary key,
  organization_id uuid not null references organizations,
  team_id uuid not null,
  alias text not null check (length(alias) between 1 and 200),
  hash bytea not null unique check (octet_length(hash) = 32),
  hint text not null,
  allowed_models text[] check (cardinality(allowed_models) > 0),
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  unique (id, organization_id),
  foreign key (team_id, organization_id) references teams (id, organization_id)
);
create unique index virtual_keys_alias on virtual_keys (organization_id, alias) where revoked_at is null;

-- A bound on one resource of one subject over one window. All limits are rows here, the prepaid balance included:
-- its bound is what was bought and granted.
create table limits (
  id uuid primary key,
  organization_id uuid not null references organizations,
  subject text not null check (subject in ('organization', 'team', 'key', 'consumer')),
  subject_id uuid not null,
  -- Of a consumer: the `user` field of the requests that it counts. Its subject_id is derived from that and the organization.
  consumer text check ((consumer is null) = (subject <> 'consumer')),
  resource text not null check (resource in ('cost', 'requests', 'tokens', 'parallel')),
  window_name text not null check (window_name in ('lifetime', 'total', 'month', 'week', 'day', 'minute', 'now')),
  bound bigint not null check (bound >= 0),
  unique (subject_id, resource, window_name),
  check (case resource
    when 'cost' then window_name in ('lifetime', 'total', 'month', 'week', 'day')
    when 'parallel' then window_name = 'now'
    else window_name = 'minute' end),
  check (window_name <> 'lifetime' or subject = 'organization')
);
create index limits_organization on limits (organization_id);
create index limits_consumer on limits (organization_id, consumer) where consumer is not null;

-- What is used and held of a limit in one window. Only the kernel's functions write here and to allotments: their organization is that of the
-- limit, so that checking each row against three tables would only cost. A rate has no windows here: its shares are held, and each process counts its own.
create table counters (
  limit_id uuid not null references limits on delete cascade,
  window_start timestamptz not null,
  organization_id uuid not null,
  used bigint not null default 0 check (used >= 0),
  held bigint not null default 0 check (held >= 0),
  primary key (limit_id, window_start)
) with (fillfactor = 50);

-- Gateway processes. `epoch` shuts out what one sent over a connection that it has given up. A process that isn't heard of is declared
-- dead and stays here, so that a journal which turns up later can be settled.
create table processes (
  id uuid primary key,
  started_at timestamptz not null default clock_timestamp(),
  heartbeat_at timestamptz not null default clock_timestamp(),
  epoch integer not null default 0,
  dead_at timestamptz
);

-- How far a process's journal has been applied: what comes twice counts once. A table of its own, so that settling doesn't wait for allotting.
create table journals (
  process_id uuid primary key references processes,
  applied_batch bigint not null default 0,
  applied_sequence bigint not null default 0
);

-- What a process holds of a limit and spends in memory: a sum of money, or a share of a rate. `held` of a counter is the sum of its
-- allotments. The share of a process that died frees once its last 60 seconds have passed.
create table allotments (
  limit_id uuid not null references limits on delete cascade,
  window_start timestamptz not null,
  process_id uuid not null,
  organization_id uuid not null,
  amount bigint not null check (amount >= 0),
  frees_at timestamptz,
  primary key (limit_id, window_start, process_id)
) with (fillfactor = 50);
create index allotments_process on allotments (process_id, limit_id);
create index allotments_freeing on allotments (frees_at) where frees_at is not null;

-- A limit that came to 50, 80 or 100 percent, once per window: where alerts come from.
create table limit_events (
  limit_id uuid not null references limits on delete cascade,
  window_start timestamptz not null,
  percent smallint not null check (percent in (50, 80, 100)),
  organization_id uuid not null references organizations,
  at timestamptz not null default clock_timestamp(),
  primary key (limit_id, window_start, percent)
);
create index limit_events_organization on limit_events (organization_id, at desc);

-- Append-only: no role is granted update or delete. `credits` entries add up to bound - used of the prepaid balance;
-- `platform_loss` is what a provider billed beyond what the customer could be charged.
create table ledger_entries (
  id uuid primary key,
  organization_id uuid not null references organizations,
  account text not null check (account in ('credits', 'platform_loss')),
  kind text not null check (kind in ('purchase', 'fee', 'grant', 'usage', 'refund', 'adjustment', 'platform_loss')),
  amount_nanos bigint not null,
  balance_after_nanos bigint not null,
  reference text,
  note text,
  created_at timestamptz not null default clock_timestamp(),
  unique (organization_id, kind, reference)
);
create index ledger_entries_organization on ledger_entries (organization_id, created_at desc, id desc);

-- One row per call, in daily partitions, so that retention drops a table instead of deleting rows.
create table request_logs (
  id uuid not null,
  organization_id uuid not null,
  started_at timestamptz not null,
  key_id uuid not null,
  key_alias text not null,
  team_id uuid not null,
  endpoint text not null,
  streamed boolean not null,
  model_group text,
  strategy text,
  provider text,
  model text,
  deployment_id uuid,
  attempts jsonb not null default '[]',
  status integer not null,
  error_code text,
  error_detail text,
  latency_ms integer not null,
  first_token_ms integer,
  overhead_micros integer,
  usage jsonb,
  input_tokens bigint,
  output_tokens bigint,
  estimated boolean not null default false,
  cost_nanos bigint,
  loss_nanos bigint not null default 0,
  price_version_id uuid,
  entry_id uuid,
  consumer text,
  session_id text,
  tags text[],
  -- Refusals of one kind within a second share a row: how many there were.
  repeats integer not null default 1,
  recorded_at timestamptz not null default clock_timestamp(),
  primary key (started_at, id)
) partition by range (started_at);
create index request_logs_organization on request_logs (organization_id, started_at desc, id desc);
create index request_logs_id on request_logs (id);
create index request_logs_recorded on request_logs using brin (recorded_at);
-- Where a row goes whose day has no partition, so that a wrong clock never stops a charge.
create table request_logs_default partition of request_logs default;
alter table request_logs_default enable row level security;
alter table request_logs_default force row level security;
