-- Limits of one organization are written one transaction after the other: two that are written at once would each be held against a parent as it was.
-- Triggers of a kind fire by their names, so this one comes before those that check.
create function limits_take_turns() returns trigger
  language plpgsql
as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('limits ' || new.organization_id, 0));
  return new;
end
$$;

create trigger a_limits_take_turns before insert or update of bound on limits
  for each row when (new.window_name <> 'lifetime') execute function limits_take_turns();
