-- What pictures cost by quality and size ([{quality, size, nanosPerMillion, perMegapixel}]), where a provider bills them so.
alter table prices add column pictures jsonb not null default '[]' check (jsonb_typeof(pictures) = 'array');

-- A price that waits is whole, so that what comes into force is what was offered.
alter table quarantined_prices add column service_tiers jsonb not null default '{}' check (jsonb_typeof(service_tiers) = 'object');
alter table quarantined_prices add column pictures jsonb not null default '[]' check (jsonb_typeof(pictures) = 'array');

-- What the provider says in public that it allows of a model in 60 seconds, as far as that is known; what it allows a credential is the deployment's.
alter table models add column requests_per_minute bigint check (requests_per_minute > 0);
alter table models add column tokens_per_minute bigint check (tokens_per_minute > 0);
