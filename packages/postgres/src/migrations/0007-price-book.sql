-- What replaces a price's rates for calls with a longer input ([{above, nanosPerMillion}], ascending), and where the provider served from another tier ({tier: rates}).
alter table prices add column tiers jsonb not null default '[]' check (jsonb_typeof(tiers) = 'array');
alter table prices add column service_tiers jsonb not null default '{}' check (jsonb_typeof(service_tiers) = 'object');

-- When a model is to be gone at its provider, as far as that is known.
alter table models add column deprecated_at date;

-- Prices that a source brought and that moved by more than half: they wait for the operator.
create table quarantined_prices (
  id uuid primary key,
  model_id text not null references models,
  nanos_per_million jsonb not null,
  tiers jsonb not null default '[]',
  source text not null,
  seen_at timestamptz not null default now(),
  unique (model_id)
);
grant select, insert, update, delete on quarantined_prices to nemo_operator;
