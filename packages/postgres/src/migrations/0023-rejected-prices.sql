-- A price that the operator rejected stays rejected for as long as the source says the same.
alter table quarantined_prices add column rejected_at timestamptz;
