-- Says that a process lives. Returns whether it was known: one that was not, or that was declared dead, has lost its holds.
create or replace function heartbeat(p_process uuid) returns boolean
  language plpgsql security definer set search_path = nemo, pg_temp
as $$
begin
  update processes set heartbeat_at = clock_timestamp() where id = p_process;
  if found then
    return true;
  end if;
  insert into processes (id) values (p_process) on conflict (id) do update set heartbeat_at = clock_timestamp();
  return false;
end
$$;

-- A process that stops cleanly has ended its holds and says goodbye.
create or replace function goodbye(p_process uuid) returns void
  language sql security definer set search_path = nemo, pg_temp
as $$
  delete from processes where id = p_process
$$;

-- Gives back what processes held that have not been heard of for the grace period, and answers with the number of holds.
-- The hold of a process that lives is never touched, however old. An expired hold stays for a week, so that a late charge finds it.
create or replace function expire_holds(p_grace interval) returns integer
  language plpgsql security definer set search_path = nemo, pg_temp
as $$
declare
  v_expired integer;
  v_holds uuid[];
begin
  delete from processes p where p.heartbeat_at < clock_timestamp() - p_grace;
  select array_agg(h.id) into v_holds from holds h
   where h.expired_at is null and not exists (select 1 from processes p where p.id = h.process_id);

  perform 1 from limits l
   where l.id in (select unnest(h.limit_ids) from holds h where h.id = any (v_holds))
   order by l.id for no key update;

  with expired as (
    update holds h set expired_at = clock_timestamp()
     where h.id = any (v_holds) and h.expired_at is null
    returning h.limit_ids, h.window_starts, h.amounts
  ), back as (
    select a.limit_id, a.window_start, sum(a.amount) as amount
      from expired e, unnest(e.limit_ids, e.window_starts, e.amounts) a (limit_id, window_start, amount)
     group by 1, 2
  ), given_back as (
    update counters c set held = c.held - b.amount from back b
     where (c.limit_id, c.window_start) = (b.limit_id, b.window_start)
  )
  select count(*) into v_expired from expired;

  delete from holds h where h.expired_at < clock_timestamp() - interval '7 days';
  return v_expired;
end
$$;

-- The holds that stand in a process's name: what it compares with its memory after an answer was lost on its way.
create or replace function holds_of(p_process uuid) returns setof uuid
  language sql stable security definer set search_path = nemo, pg_temp
as $$
  select h.id from holds h where h.process_id = p_process
$$;
