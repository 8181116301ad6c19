-- Makes the daily partitions of request_logs from two days ago to the given number of days ahead. A partition is reached
-- through its parent only: no role has a grant on it, and row security is forced on it as well.
create or replace function create_request_log_partitions(p_days_ahead integer) returns integer
  language plpgsql security definer set search_path = nemo, pg_temp
as $$
declare
  v_day date;
  v_name text;
  v_made integer := 0;
begin
  perform pg_advisory_xact_lock(hashtext('nemo.request_logs.partitions'));
  for i in -2 .. p_days_ahead loop
    v_day := (clock_timestamp() at time zone 'UTC')::date + i;
    v_name := 'request_logs_' || to_char(v_day, 'YYYYMMDD');
    if to_regclass('nemo.' || v_name) is null then
      execute format('create table nemo.%I partition of nemo.request_logs for values from (%L) to (%L)',
        v_name, v_day::timestamp at time zone 'UTC', (v_day + 1)::timestamp at time zone 'UTC');
      execute format('alter table nemo.%I enable row level security', v_name);
      execute format('alter table nemo.%I force row level security', v_name);
      v_made := v_made + 1;
    end if;
  end loop;
  return v_made;
end
$$;
