-- Who may call what. The kernel owns what crosses tenants; the owner of the schema keeps what only makes partitions.
-- To own a function a role must be allowed to create one; only for this moment.
grant create on schema nemo to nemo_kernel;

do $$
declare
  f text;
begin
  foreach f in array array[
    'reserve(uuid, uuid[], uuid[], uuid[], integer[], integer[], bigint[])',
    'settle(uuid[], bigint[], bigint[], bigint[], json)',
    'post_entry(uuid, text, bigint, text, text)',
    'heartbeat(uuid)', 'goodbye(uuid)', 'expire_holds(interval)', 'holds_of(uuid)', 'authenticate_key(bytea)'
  ] loop
    execute format('revoke execute on function nemo.%s from public', f);
    execute format('alter function nemo.%s owner to nemo_kernel', f);
  end loop;
  revoke execute on function nemo.create_request_log_partitions(integer) from public;
end
$$;

revoke create on schema nemo from nemo_kernel;

grant execute on function
  reserve(uuid, uuid[], uuid[], uuid[], integer[], integer[], bigint[]),
  settle(uuid[], bigint[], bigint[], bigint[], json),
  heartbeat(uuid), goodbye(uuid), expire_holds(interval), holds_of(uuid), authenticate_key(bytea)
to nemo_app;
grant execute on function post_entry(uuid, text, bigint, text, text), create_request_log_partitions(integer) to nemo_operator;
