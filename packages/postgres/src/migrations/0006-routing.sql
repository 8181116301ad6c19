-- How an organization wants deployments to be picked, where a request doesn't say.
alter table organizations add column strategy text not null default 'simple-shuffle'
  check (strategy in ('simple-shuffle', 'least-busy', 'usage-based', 'latency-based', 'cost-based'));

drop trigger config_changed on organizations;
create trigger config_changed after update of uncapped, drop_unsupported, strategy on organizations
  for each row execute function notify_config_changed('organization');

-- What was known when a call was routed, and the seed of its draws: enough to decide it again.
alter table request_logs add column decision jsonb;
