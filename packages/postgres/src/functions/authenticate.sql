-- The one look-up that crosses tenants: from a key's hash to the key, its organization and every limit that binds it. Revoked and expired keys
-- are returned too; whoever asks decides, with its own clock.
--
-- At first sight the process also gets its first allotments on those limits, in the same round trip: a part of what is free, so
-- that a key which is used now and then costs nothing more. A process of null gets none, and one that is dead or of an epoch that has passed:
-- it is told so when it asks.
create or replace function authenticate_key(p_hash bytea, p_process uuid, p_epoch integer) returns json
  language plpgsql security definer set search_path = nemo, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off
as $$
declare
  v_key virtual_keys;
  v_limits uuid[];
  v_wants bigint[];
  v_allotted json;
begin
  select * into v_key from virtual_keys k where k.hash = p_hash;
  if not found then
    return null;
  end if;

  perform 1 from processes p where p.id = p_process and p.epoch = p_epoch and p.dead_at is null for share;
  if found and v_key.revoked_at is null and (v_key.expires_at is null or v_key.expires_at > clock_timestamp()) then
    -- What the process holds something of, it refills by itself.
    select array_agg(l.id order by l.id),
           array_agg(case when o.amount > 0 then 0 else l.bound / 8 + 1 end order by l.id)
      into v_limits, v_wants
      from limits l
      left join allotments o on o.limit_id = l.id and o.process_id = p_process
       and o.window_start = window_start(l.window_name, clock_timestamp())
     where l.organization_id = v_key.organization_id and l.subject_id in (v_key.organization_id, v_key.team_id, v_key.id)
       and coalesce(o.amount, 0) = 0;
    if v_limits is not null then
      select json_agg(json_build_object('limitId', v_limits[a.limit_position], 'bound', a.bound::text, 'extra', a.extra::text,
          'startsAt', a.starts_at, 'endsAt', a.ends_at, 'serverTime', a.server_time))
        into v_allotted
        from allot(p_process, p_epoch, array[v_key.organization_id], v_limits,
          array_fill(1, array[cardinality(v_limits)]), (select array_agg(i) from generate_series(1, cardinality(v_limits)) i),
          array_fill(0::bigint, array[cardinality(v_limits)]), v_wants) a
       where a.extra > 0;
    end if;
  end if;

  return json_build_object(
    'id', v_key.id, 'organizationId', v_key.organization_id, 'teamId', v_key.team_id, 'alias', v_key.alias,
    'allowedModels', v_key.allowed_models, 'expiresAt', v_key.expires_at, 'revokedAt', v_key.revoked_at,
    'limits', (
      select coalesce(json_agg(json_build_object('id', l.id, 'subject', l.subject, 'subjectId', l.subject_id,
        'resource', l.resource, 'window', l.window_name, 'bound', l.bound::text) order by l.id), '[]')
      from limits l
      where l.organization_id = v_key.organization_id and l.subject_id in (v_key.organization_id, v_key.team_id, v_key.id)),
    'uncapped', (select o.uncapped from organizations o where o.id = v_key.organization_id),
    'consumers', exists (select 1 from limits l where l.organization_id = v_key.organization_id and l.consumer is not null),
    'allotted', coalesce(v_allotted, '[]'));
end
$$;

-- The limits of one consumer of an organization.
create or replace function limits_of_consumer(p_organization uuid, p_consumer text) returns json
  language sql stable security definer set search_path = nemo, pg_temp
as $$
  select coalesce(json_agg(json_build_object('id', l.id, 'subject', l.subject, 'subjectId', l.subject_id,
    'resource', l.resource, 'window', l.window_name, 'bound', l.bound::text) order by l.id), '[]')
  from limits l where l.organization_id = p_organization and l.subject = 'consumer' and l.consumer = p_consumer
$$;
