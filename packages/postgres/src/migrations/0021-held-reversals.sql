-- What calls under way held when their payment was reversed, and when that was: of it what they turn out not to spend is taken back later.
alter table payment_reversals add column held_nanos bigint not null default 0, add column taken_at timestamptz;
create index payment_reversals_held on payment_reversals (taken_at) where held_nanos > 0;
