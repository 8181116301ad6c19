-- What the operator owns. Tenants have no grant on credentials by any role.

create table provider_credentials (
  id uuid primary key,
  name text not null unique check (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  provider text not null,
  base_url text,
  secret bytea,
  created_at timestamptz not null default now()
);

create table models (
  id text primary key,
  provider text not null,
  endpoint text not null check (endpoint in ('chat', 'embeddings', 'images')),
  context_tokens integer check (context_tokens > 0),
  output_tokens_max integer check (output_tokens_max > 0),
  capabilities text[] not null default '{}',
  created_at timestamptz not null default now()
);

-- Prices are added, never edited: a charge names the version it was made with. `nanos_per_million` maps a usage class to a
-- decimal string of nanodollars per million units.
create table prices (
  id uuid primary key,
  model_id text not null references models,
  effective_at timestamptz not null default now(),
  nanos_per_million jsonb not null,
  source text not null
);
create index prices_model on prices (model_id, effective_at desc);

-- The names that callers ask for. Without an organization a group is everyone's.
create table model_groups (
  id uuid primary key,
  organization_id uuid references organizations,
  name text not null check (length(name) between 1 and 200),
  created_at timestamptz not null default now(),
  unique nulls not distinct (organization_id, name)
);

create table deployments (
  id uuid primary key,
  organization_id uuid references organizations,
  group_id uuid not null references model_groups on delete cascade,
  model_id text not null references models,
  credential_id uuid not null references provider_credentials on delete cascade,
  upstream_model text not null,
  weight integer not null default 1 check (weight > 0),
  -- What the provider allows us there; null where it isn't known. Routing keeps away from what has no headroom.
  requests_per_minute bigint check (requests_per_minute > 0),
  tokens_per_minute bigint check (tokens_per_minute > 0),
  enabled boolean not null default true,
  created_at timestamptz not null default now(),
  unique (group_id, credential_id, upstream_model)
);

-- What each process sent to each deployment in its last 60 seconds.
create table deployment_loads (
  deployment_id uuid not null,
  process_id uuid not null,
  requests bigint not null,
  tokens bigint not null,
  at timestamptz not null,
  primary key (deployment_id, process_id)
);
