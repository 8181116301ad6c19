-- Where a reservation made at this instant is counted. A rolling minute is counted by seconds, in UTC like everything else.
create or replace function window_start(p_window text, p_now timestamptz) returns timestamptz
  language sql immutable parallel safe
as $$
  select case p_window
    when 'minute' then date_trunc('second', p_now)
    when 'day' then date_trunc('day', p_now, 'UTC')
    when 'week' then date_trunc('week', p_now, 'UTC')
    when 'month' then date_trunc('month', p_now, 'UTC')
    else timestamptz 'epoch'
  end
$$;

-- Counters from this window_start on bear on a reservation at this instant. The second that began 60.x s ago may hold
-- requests of less than 60 s ago, so it still counts: in no 60-second span more than the limit, at the price of up to one second.
create or replace function window_floor(p_window text, p_now timestamptz) returns timestamptz
  language sql immutable parallel safe
as $$
  select case p_window
    when 'minute' then date_trunc('second', p_now - interval '60 seconds')
    else nemo.window_start(p_window, p_now)
  end
$$;

-- When a calendar window starts again; null for what time doesn't heal.
create or replace function window_end(p_window text, p_now timestamptz) returns timestamptz
  language sql immutable parallel safe
as $$
  select case p_window
    when 'day' then date_trunc('day', p_now, 'UTC') + interval '1 day'
    when 'week' then date_trunc('week', p_now, 'UTC') + interval '7 days'
    when 'month' then ((date_trunc('month', p_now, 'UTC') at time zone 'UTC') + interval '1 month') at time zone 'UTC'
  end
$$;
