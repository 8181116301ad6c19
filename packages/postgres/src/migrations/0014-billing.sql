-- What the platform takes on top of a purchase, by tier. Tiers change the fee and nothing else: every feature is on every tier.
create table billing_tiers (
  id text primary key check (id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  name text not null check (length(name) between 1 and 100),
  -- Hundredths of a percent: 400 is 4 %.
  fee_basis_points integer not null check (fee_basis_points between 0 and 10000),
  position integer not null unique
);
insert into billing_tiers (id, name, fee_basis_points, position) values
  ('pay-as-you-go', 'Pay as you go', 400, 1), ('tier-2', 'Tier 2', 200, 2), ('tier-3', 'Tier 3', 0, 3);
alter table organizations add column tier_id text not null default 'pay-as-you-go' references billing_tiers;

-- How an organization pays, whom its invoices name, and what happens when its balance runs low. Every organization has one.
create table billing_accounts (
  organization_id uuid primary key references organizations,
  stripe_customer_id text unique,
  company text not null default '' check (length(company) <= 200),
  address text not null default '' check (length(address) <= 1000),
  tax_id text not null default '' check (length(tax_id) <= 100),
  email text check (length(email) <= 320),
  default_card_id text,
  top_up_enabled boolean not null default false,
  top_up_below_nanos bigint check (top_up_below_nanos > 0),
  top_up_cents bigint check (top_up_cents > 0),
  -- The most that top-ups may charge in one calendar month (UTC), fees included.
  top_up_month_cents bigint check (top_up_month_cents > 0),
  -- Why topping up has paused, until someone sets it anew.
  top_up_failure text,
  -- Whether somebody was told of that.
  top_up_failure_told boolean not null default false,
  low_balance_nanos bigint default 2000000000 check (low_balance_nanos > 0),
  -- When the mail about this crossing went out. Null above the threshold.
  low_balance_told_at timestamptz,
  check (not top_up_enabled or (top_up_below_nanos is not null and top_up_cents is not null and top_up_month_cents is not null))
);
create index billing_accounts_top_up on billing_accounts (organization_id) where top_up_enabled and top_up_failure is null;

create table saved_cards (
  id text primary key,
  organization_id uuid not null references organizations,
  brand text not null,
  last4 text not null,
  exp_month integer not null,
  exp_year integer not null,
  -- When Stripe said so: what it said before that comes too late.
  said_at timestamptz not null,
  added_at timestamptz not null default clock_timestamp(),
  -- A card that was detached can't be attached again.
  detached_at timestamptz
);
create index saved_cards_organization on saved_cards (organization_id);

-- Credits bought, or being bought. Tier and fee are frozen when the row is written, by the trigger below, and no role may update them.
create table purchases (
  id uuid primary key,
  organization_id uuid not null references organizations,
  source text not null check (source in ('checkout', 'card', 'top-up')),
  state text not null default 'pending' check (state in ('pending', 'paid', 'failed', 'expired')),
  credits_cents bigint not null check (credits_cents between 1 and 100000000),
  tier_id text not null references billing_tiers,
  fee_basis_points integer not null check (fee_basis_points between 0 and 10000),
  fee_cents bigint not null check (fee_cents >= 0),
  total_cents bigint not null,
  card_id text,
  save_card boolean not null default false,
  -- What makes a request to buy the same as an earlier one.
  request_key text check (length(request_key) between 1 and 200),
  checkout_session_id text unique,
  checkout_url text,
  payment_intent_id text unique,
  failure_code text,
  failure_message text,
  -- What of the total was refunded or charged back.
  reversed_cents bigint not null default 0 check (reversed_cents >= 0),
  created_at timestamptz not null default clock_timestamp(),
  paid_at timestamptz,
  check (total_cents = credits_cents + fee_cents),
  check (reversed_cents <= total_cents),
  check ((state = 'paid') = (paid_at is not null)),
  unique (organization_id, request_key),
  unique (id, organization_id)
);
create index purchases_organization on purchases (organization_id, id desc);
create index purchases_pending on purchases (created_at) where state = 'pending';
-- At most one top-up of an organization is under way, whoever begins them.
create unique index purchases_one_top_up on purchases (organization_id) where source = 'top-up' and state = 'pending';
create index purchases_top_ups on purchases (organization_id, created_at) where source = 'top-up';

-- Half a cent is rounded up, as feeOf of packages/domain/src/billing.ts does.
create function freeze_fee() returns trigger
  language plpgsql
as $$
begin
  select t.id, t.fee_basis_points into strict new.tier_id, new.fee_basis_points
    from nemo.organizations o join nemo.billing_tiers t on t.id = o.tier_id where o.id = new.organization_id;
  new.fee_cents := (new.credits_cents * new.fee_basis_points + 5000) / 10000;
  new.total_cents := new.credits_cents + new.fee_cents;
  return new;
end
$$;
create trigger freeze_fee before insert on purchases for each row execute function freeze_fee();

-- Refunds and disputes as Stripe tells of them, which may be before it tells of the payment: then no purchase is known yet. What became of each:
-- how much of the credits was still there to take back, and how much was the platform's loss.
create table payment_reversals (
  id text primary key,
  kind text not null check (kind in ('refund', 'dispute')),
  payment_intent_id text not null,
  amount_cents bigint not null check (amount_cents >= 0),
  status text not null,
  -- How far along the status is: one that is less far comes too late.
  rank smallint not null,
  is_effective boolean not null,
  happened_at timestamptz not null,
  state text not null default 'none' check (state in ('none', 'taken', 'returned')),
  reversed_cents bigint not null default 0,
  credits_cents bigint not null default 0,
  fee_cents bigint not null default 0,
  clawed_nanos bigint not null default 0,
  lost_nanos bigint not null default 0
);
create index payment_reversals_payment on payment_reversals (payment_intent_id);

-- What was heard from Stripe: the same event counts once.
create table stripe_events (
  id text primary key,
  type text not null,
  subject text,
  happened_at timestamptz not null,
  received_at timestamptz not null default clock_timestamp()
);

-- One row: the last number given, held until its document is written, so that numbers have no gaps.
create table document_numbers (
  is_only boolean primary key default true check (is_only),
  last bigint not null default 0
);
insert into document_numbers default values;

-- One row: who sells.
create table seller (
  is_only boolean primary key default true check (is_only),
  name text not null default '' check (length(name) <= 200),
  address text not null default '' check (length(address) <= 1000),
  tax_id text not null default '' check (length(tax_id) <= 100),
  email text not null default '' check (length(email) <= 320),
  footer text not null default '' check (length(footer) <= 1000),
  number_prefix text not null default 'NEMO-' check (number_prefix ~ '^[A-Za-z0-9/_-]{0,20}$')
);
insert into seller default values;

-- Invoices, and credit notes for what was refunded. Never changed: who sold and bought, and for how much, is written into each.
create table invoices (
  id uuid primary key,
  organization_id uuid not null references organizations,
  sequence bigint not null unique,
  number text not null unique,
  kind text not null check (kind in ('invoice', 'credit-note')),
  purchase_id uuid not null,
  -- The refund that a credit note is for, or whose failure an invoice takes back.
  reference text not null,
  total_cents bigint not null,
  document jsonb not null,
  issued_at timestamptz not null,
  unique (purchase_id, kind, reference),
  foreign key (purchase_id, organization_id) references purchases (id, organization_id)
);
create index invoices_organization on invoices (organization_id, sequence desc);

-- What the platform earns stands in an account of its own: credits are all the customer's.
alter table ledger_entries drop constraint ledger_entries_account_check;
alter table ledger_entries add constraint ledger_entries_account_check check (account in ('credits', 'platform_loss', 'platform_fee'));

do $$
declare
  t text;
begin
  foreach t in array array['billing_accounts', 'saved_cards', 'purchases', 'invoices'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format('create policy tenant on %I to nemo_app using (organization_id = current_organization())
                    with check (organization_id = current_organization())', t);
    execute format('create policy operator on %I to nemo_operator using (true) with check (true)', t);
  end loop;
end
$$;
create policy kernel on billing_accounts to nemo_kernel using (true) with check (true);
create policy kernel on purchases to nemo_kernel using (true);
grant select, insert on billing_accounts to nemo_kernel;
grant select on purchases, billing_tiers to nemo_kernel;

grant select on billing_tiers, billing_accounts, saved_cards, purchases, invoices to nemo_app;
grant update (company, address, tax_id, email, default_card_id, top_up_enabled, top_up_below_nanos, top_up_cents, top_up_month_cents, top_up_failure,
  top_up_failure_told, low_balance_nanos, low_balance_told_at) on billing_accounts to nemo_app, nemo_operator;
-- A tenant asks for a purchase; whether it was paid, only Stripe says.
grant insert (id, organization_id, source, credits_cents, card_id, save_card, request_key) on purchases to nemo_app, nemo_operator;

grant select on billing_tiers, billing_accounts, saved_cards, purchases, payment_reversals, stripe_events, document_numbers, seller, invoices to nemo_operator;
grant insert, update, delete on billing_tiers to nemo_operator;
grant insert (organization_id), update (stripe_customer_id) on billing_accounts to nemo_operator;
grant insert, update on saved_cards, payment_reversals to nemo_operator;
grant update (state, checkout_session_id, checkout_url, payment_intent_id, failure_code, failure_message, reversed_cents, paid_at) on purchases to nemo_operator;
grant insert on stripe_events, invoices to nemo_operator;
grant update on document_numbers, seller to nemo_operator;

create function open_billing_account() returns trigger
  language plpgsql security definer set search_path = nemo, pg_temp
as $$
begin
  insert into billing_accounts (organization_id) values (new.id);
  return null;
end
$$;
revoke execute on function open_billing_account() from public;
grant create on schema nemo to nemo_kernel;
alter function open_billing_account() owner to nemo_kernel;
revoke create on schema nemo from nemo_kernel;
create trigger open_billing_account after insert on organizations for each row execute function open_billing_account();

-- Row security is forced: only as the operator are the organizations to be seen that there are already.
set local role nemo_operator;
insert into billing_accounts (organization_id) select id from organizations;
reset role;

-- A process that knows of a top-up under way lets calls wait for it instead of refusing them.
create trigger config_changed after update of top_up_enabled, top_up_below_nanos, top_up_cents, top_up_month_cents, top_up_failure on billing_accounts
  for each row execute function notify_config_changed('organization');
create trigger config_changed after insert or update of state on purchases
  for each row when (new.source = 'top-up') execute function notify_config_changed('organization');
