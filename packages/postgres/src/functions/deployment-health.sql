-- Keeps that deployments are left out, or are well again, and tells every process. `p_changes` is a list of {organizationId, deploymentId, coolingMs, asked, fault}. Advisory: routing
-- reads it, and nothing is refused or charged by it alone.
create or replace function share_deployment_health(p_process uuid, p_changes json) returns void
  language plpgsql security definer set search_path = nemo, pg_temp
as $$
begin
  delete from deployment_health h
   using json_to_recordset(p_changes) c ("organizationId" uuid, "deploymentId" uuid, "coolingMs" integer)
   where h.organization_id is not distinct from c."organizationId" and h.deployment_id = c."deploymentId" and c."coolingMs" = 0;

  insert into deployment_health as h (organization_id, deployment_id, cooling_until, asked, fault)
  select c."organizationId", c."deploymentId", clock_timestamp() + make_interval(secs => c."coolingMs" / 1000.0), c.asked, c.fault
    from json_to_recordset(p_changes) c ("organizationId" uuid, "deploymentId" uuid, "coolingMs" integer, asked boolean, fault text)
   where c."coolingMs" > 0 and exists (select 1 from deployments d where d.id = c."deploymentId")
     and (c."organizationId" is null or exists (select 1 from organizations o where o.id = c."organizationId"))
   order by c."deploymentId", c."organizationId"
  on conflict (organization_id, deployment_id) do update
     set cooling_until = excluded.cooling_until, asked = excluded.asked, fault = excluded.fault, probed_by = null, probe_until = null,
         changed_at = clock_timestamp();

  -- A notification holds 8,000 bytes.
  perform pg_notify('health', json_build_object('process', p_process, 'organizationId', c."organizationId", 'deploymentId', c."deploymentId",
      'coolingMs', c."coolingMs", 'asked', c.asked)::text)
     from json_to_recordset(p_changes) c ("organizationId" uuid, "deploymentId" uuid, "coolingMs" integer, asked boolean);
end
$$;

-- All that is left out now, or was and hasn't been tried since: what a process starts with, and looks at again when it may have missed something.
create or replace function cooling_deployments() returns table (organization_id uuid, deployment_id uuid, cooling_ms double precision, asked boolean)
  language sql stable security definer set search_path = nemo, pg_temp
as $$
  select h.organization_id, h.deployment_id, extract(epoch from h.cooling_until - clock_timestamp())::double precision * 1000, h.asked
    from deployment_health h where h.cooling_until > clock_timestamp() - interval '10 minutes'
$$;

-- Makes the process the one that tries a deployment whose cooldown is over; false while another does.
create or replace function claim_probe(p_process uuid, p_organization uuid, p_deployment uuid) returns boolean
  language plpgsql security definer set search_path = nemo, pg_temp
as $$
begin
  update deployment_health h set probed_by = p_process, probe_until = clock_timestamp() + interval '10 seconds'
   where h.organization_id is not distinct from p_organization and h.deployment_id = p_deployment
     and h.cooling_until <= clock_timestamp() and (h.probe_until is null or h.probe_until <= clock_timestamp());
  -- What nobody has written down nobody else tries.
  return found or not exists (
    select 1 from deployment_health h where h.organization_id is not distinct from p_organization and h.deployment_id = p_deployment);
end
$$;
