-- Tells what this process sent to each deployment in the last 60 seconds, and answers with what the others did, by what they told within the
-- last 10 seconds. Advisory: routing reads it, and nothing is refused or charged by it.
create or replace function share_deployment_loads(p_process uuid, p_deployments uuid[], p_requests bigint[], p_tokens bigint[])
  returns table (deployment_id uuid, requests bigint, tokens bigint)
  language sql security definer set search_path = nemo, pg_temp
as $$
  with mine as (
    insert into deployment_loads as l (deployment_id, process_id, requests, tokens, at)
    select m.deployment_id, p_process, m.requests, m.tokens, clock_timestamp()
      from unnest(p_deployments, p_requests, p_tokens) m (deployment_id, requests, tokens)
    on conflict (deployment_id, process_id) do update
       set requests = excluded.requests, tokens = excluded.tokens, at = excluded.at
  ), past as (
    delete from deployment_loads l where l.at < clock_timestamp() - interval '2 minutes'
  )
  select l.deployment_id, sum(l.requests)::bigint, sum(l.tokens)::bigint
    from deployment_loads l
   where l.process_id <> p_process and l.at > clock_timestamp() - interval '10 seconds'
   group by l.deployment_id
$$;
