-- A bound that is raised is a new one: what of it isn't reached any more can be crossed, and told of, once more. Credits are such a bound: each purchase raises
-- theirs, and without this whoever had once used all that he had would never hear of it again.
create function limit_events_begin_anew() returns trigger
  language plpgsql security definer set search_path = nemo, pg_temp
as $$
begin
  -- What hasn't been announced yet was crossed all the same.
  delete from limit_events e
   where e.limit_id = new.id and e.announced and new.resource = 'cost'
     and e.percent * new.bound::numeric > 100 * coalesce(
       (select c.used from counters c where c.limit_id = e.limit_id and c.window_start = e.window_start), 0);
  return null;
end
$$;
create trigger limit_events_begin_anew after update of bound on limits
  for each row when (new.bound > old.bound) execute function limit_events_begin_anew();

-- The kernel's, which sees all organizations' events: the owner of the schema sees none.
grant delete on limit_events to nemo_kernel;
grant create on schema nemo to nemo_kernel;
revoke execute on function limit_events_begin_anew() from public;
alter function limit_events_begin_anew() owner to nemo_kernel;
revoke create on schema nemo from nemo_kernel;
