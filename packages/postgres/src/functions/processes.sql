-- Registers a process.
create or replace function register_process(p_process uuid) returns void
  language sql security definer set search_path = nemo, pg_temp
as $$
  with registered as (
    insert into processes (id) values (p_process) returning id
  )
  insert into journals (process_id) select id from registered
$$;

-- Says that a process lives; false when it has been declared dead. It has lost its allotments then, and must begin anew under another id.
create or replace function heartbeat(p_process uuid) returns boolean
  language sql security definer set search_path = nemo, pg_temp
as $$
  with beat as (
    update processes set heartbeat_at = clock_timestamp() where id = p_process and dead_at is null returning 1
  )
  select exists (select 1 from beat)
$$;

-- Refuses what a process that is dead, or an epoch that has passed, still sends. While it is locked here the process can't be declared dead,
-- though its heart may beat: who buries or fences it locks it for update.
create or replace function require_process(p_process uuid, p_epoch integer) returns void
  language plpgsql
as $$
declare
  v_epoch integer;
  v_dead timestamptz;
begin
  select p.epoch, p.dead_at into v_epoch, v_dead from nemo.processes p where p.id = p_process for key share;
  if v_epoch is null or v_dead is not null then
    raise exception 'process % is dead', p_process using errcode = 'NM001';
  end if;
  if v_epoch <> p_epoch then
    raise exception 'epoch % of process % has passed', p_epoch, p_process using errcode = 'NM002';
  end if;
end
$$;

-- Begins a new epoch after an answer was lost: what is still under way over the old connection is shut out, and the process learns what it
-- holds. Answers with no epoch (null) when it is dead.
create or replace function begin_epoch(p_process uuid, p_epoch integer)
  returns table (
    limit_id uuid, organization_id uuid, subject text, subject_id uuid, resource text, window_name text, bound bigint,
    window_start timestamptz, ends_at timestamptz, amount bigint, server_time timestamptz
  )
  language plpgsql security definer set search_path = nemo, pg_temp
as $$
#variable_conflict use_column
begin
  perform 1 from processes p where p.id = p_process for update;
  update processes p set epoch = p_epoch where p.id = p_process and p.dead_at is null and p.epoch < p_epoch;
  if not found then
    raise exception 'process % is dead', p_process using errcode = 'NM001';
  end if;
  return query
    select o.limit_id, o.organization_id, l.subject, l.subject_id, l.resource, l.window_name, l.bound,
           o.window_start, window_end(l.window_name, o.window_start), o.amount, clock_timestamp()
      from allotments o join limits l on l.id = o.limit_id where o.process_id = p_process;
end
$$;

-- Ends a process: its money is free at once, its shares of rates when its last 60 seconds have passed. Called by itself when it stops, by
-- its successor once its journal is replayed, and for those that haven't been heard of.
create or replace function bury(p_process uuid) returns void
  language plpgsql security definer set search_path = nemo, pg_temp
as $$
begin
  perform 1 from processes p where p.id = p_process for update;
  update processes p set dead_at = clock_timestamp() where p.id = p_process and p.dead_at is null;

  perform 1 from limits l where l.id in (select o.limit_id from allotments o where o.process_id = p_process)
   order by l.id for no key update;

  with gone as (
    delete from allotments o using limits l
     where o.process_id = p_process and l.id = o.limit_id and l.resource not in ('requests', 'tokens')
    returning o.limit_id, o.window_start, o.amount
  )
  update counters c set held = c.held - g.amount from gone g
   where (c.limit_id, c.window_start) = (g.limit_id, g.window_start);

  update allotments o set frees_at = clock_timestamp() + interval '61 seconds' where o.process_id = p_process and o.frees_at is null;
end
$$;

-- Buries one process that hasn't been heard of for the grace period, and answers with it; null when there is none (left). One at a time, so
-- that limits are locked in one order. A process that lives is never touched, however long its streams.
create or replace function bury_one_dead(p_grace interval) returns uuid
  language plpgsql security definer set search_path = nemo, pg_temp
as $$
declare
  v_process uuid;
begin
  select p.id into v_process from processes p
   where p.dead_at is null and p.heartbeat_at < clock_timestamp() - p_grace
   limit 1 for update skip locked;
  if found then
    perform bury(v_process);
  end if;
  return v_process;
end
$$;

-- Frees the shares of the dead whose time has come, and answers with how many there were.
create or replace function free_shares() returns integer
  language plpgsql security definer set search_path = nemo, pg_temp
as $$
declare
  v_freed integer;
  v_now timestamptz := clock_timestamp();
begin
  perform 1 from limits l where l.id in (select o.limit_id from allotments o where o.frees_at < v_now)
   order by l.id for no key update;
  with gone as (
    delete from allotments o where o.frees_at < v_now returning o.limit_id, o.window_start, o.amount
  ), sums as (
    select g.limit_id, g.window_start, sum(g.amount)::bigint as amount from gone g group by 1, 2
  ), given_back as (
    update counters c set held = c.held - s.amount from sums s where (c.limit_id, c.window_start) = (s.limit_id, s.window_start)
  )
  select count(*) into v_freed from gone;
  return v_freed;
end
$$;

-- What a successor needs to replay a journal: the last sequence that was applied, and whether the process was declared dead. No row when it isn't known.
create or replace function process_state(p_process uuid) returns table (applied_batch bigint, applied_sequence bigint, dead boolean)
  language sql stable security definer set search_path = nemo, pg_temp
as $$
  select j.applied_batch, j.applied_sequence, p.dead_at is not null
    from processes p join journals j on j.process_id = p.id where p.id = p_process
$$;
