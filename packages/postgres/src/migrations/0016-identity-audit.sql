-- Signing in, and what people do with their accounts, is in the audit log of the organization that they belong to, in the transaction of what it tells of.
do $$
declare
  t text;
begin
  foreach t in array array['audit_log', 'webhook_endpoints', 'webhook_events', 'webhook_deliveries'] loop
    execute format('create policy identity on %I to nemo_identity using (true) with check (true)', t);
  end loop;
end
$$;
grant select, insert (id, organization_id, actor_kind, actor_id, actor_label, address, action, subject_type, subject_id, subject_label, before, after)
  on audit_log to nemo_identity;
grant select (id, organization_id, events, enabled) on webhook_endpoints to nemo_identity;
grant select (id), insert on webhook_events to nemo_identity;
grant insert on webhook_deliveries to nemo_identity;

-- An organization that is deleted takes with it where its events went.
grant delete on webhook_endpoints to nemo_operator;
