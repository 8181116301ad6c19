-- Who may call what. The kernel owns what crosses tenants; the owner of the schema keeps what only makes partitions.

-- To own a function a role must be allowed to create one; only for this moment.
grant create on schema nemo to nemo_kernel;

do $$
declare
  f text;
begin
  foreach f in array array[
    'allot(uuid, integer, uuid[], uuid[], integer[], integer[], bigint[], bigint[])',
    'settle(uuid, bigint, bigint, uuid[], timestamptz[], bigint[], bigint[], uuid[], json, json)',
    'settle_late(uuid, json)', 'post_entry(uuid, text, bigint, text, text)',
    'register_process(uuid)', 'heartbeat(uuid)', 'begin_epoch(uuid, integer)', 'bury(uuid)', 'bury_one_dead(interval)', 'free_shares()',
    'process_state(uuid)', 'share_deployment_health(uuid, json)', 'cooling_deployments()', 'claim_probe(uuid, uuid, uuid)',
    'share_deployment_loads(uuid, uuid[], bigint[], bigint[])', 'authenticate_keys(bytea[], uuid, integer)', 'limits_of_consumer(uuid, text)'
  ] loop
    execute format('revoke execute on function nemo.%s from public', f);
    execute format('alter function nemo.%s owner to nemo_kernel', f);
    if f not like 'post_entry%' then
      execute format('grant execute on function nemo.%s to nemo_app', f);
    end if;
  end loop;
end
$$;

revoke create on schema nemo from nemo_kernel;

revoke execute on function create_request_log_partitions(integer), write_request_logs(json) from public;
grant execute on function write_request_logs(json) to nemo_kernel;
grant execute on function post_entry(uuid, text, bigint, text, text), create_request_log_partitions(integer) to nemo_operator;

-- What a payment brings and takes back is for the operator's connection alone, which hears from Stripe.
grant create on schema nemo to nemo_kernel;
do $$
declare
  f text;
begin
  foreach f in array array['claw_back(uuid, bigint, text, text, boolean)', 'post_platform_entry(uuid, text, bigint, text, text)', 'lock_credits(uuid)'] loop
    execute format('revoke execute on function nemo.%s from public', f);
    execute format('alter function nemo.%s owner to nemo_kernel', f);
    execute format('grant execute on function nemo.%s to nemo_operator', f);
  end loop;
end
$$;
revoke create on schema nemo from nemo_kernel;

-- What is personal goes with its organization.
grant create on schema nemo to nemo_kernel;
grant update (consumer, session_id, tags, error_detail, key_alias) on request_logs to nemo_kernel;
revoke execute on function nemo.erase_callers(uuid, timestamptz, uuid) from public;
alter function nemo.erase_callers(uuid, timestamptz, uuid) owner to nemo_kernel;
grant execute on function nemo.erase_callers(uuid, timestamptz, uuid) to nemo_operator;
revoke create on schema nemo from nemo_kernel;
grant update (company, address, tax_id, email, default_card_id, top_up_enabled) on billing_accounts to nemo_operator;
grant delete on saved_cards to nemo_operator;
