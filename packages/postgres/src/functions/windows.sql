-- Which window of a limit an instant lies in, in UTC. Rates and credits have one window that never ends.
create or replace function window_start(p_window text, p_now timestamptz) returns timestamptz
  language sql immutable parallel safe
as $$
  select case p_window
    when 'day' then date_trunc('day', p_now, 'UTC')
    when 'week' then date_trunc('week', p_now, 'UTC')
    when 'month' then date_trunc('month', p_now, 'UTC')
    else timestamptz 'epoch'
  end
$$;

-- When that window ends; null for what never does. In hours: a day of a time zone may have 23.
create or replace function window_end(p_window text, p_now timestamptz) returns timestamptz
  language sql immutable parallel safe
as $$
  select case p_window
    when 'day' then date_trunc('day', p_now, 'UTC') + interval '24 hours'
    when 'week' then date_trunc('week', p_now, 'UTC') + interval '168 hours'
    when 'month' then ((date_trunc('month', p_now, 'UTC') at time zone 'UTC') + interval '1 month') at time zone 'UTC'
  end
$$;
