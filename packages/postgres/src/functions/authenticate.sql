-- The one look-up that crosses tenants: from keys' hashes to the keys, their organizations and every limit that binds them. Revoked and expired
-- keys are returned too; whoever asks decides, with its own clock. Answers with a row for each hash that is known, and with one row without a hash that
-- says what was allotted: of a limit that several of the keys share, once. What a key had for a secret before it was rotated is the same key, which
-- then expires when that secret does.
--
-- At first sight the process also gets its first allotments on those limits, in the same round trip: a part of what is free, so that a key which is
-- used now and then costs nothing more. A process of null gets none, and one that is dead or of an epoch that has passed neither: it is told so when it
-- asks.
create or replace function authenticate_keys(p_hashes bytea[], p_process uuid, p_epoch integer) returns table (hash bytea, found json)
  language plpgsql security definer set search_path = nemo, pg_temp set plan_cache_mode = force_generic_plan
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
declare
  v_organizations uuid[];
  v_limits uuid[];
  v_ask_requests integer[];
  v_ask_limits integer[];
  v_wants bigint[];
  v_allotted json := '[]';
begin
  perform 1 from processes p where p.id = p_process and p.epoch = p_epoch and p.dead_at is null for key share;
  if found then
    -- What the process holds something of, it refills by itself. A limit that several of the keys share is asked for once.
    select array_agg(n.organization_id order by n.position), array_agg(n.id order by n.position),
           array_agg(n.position::integer order by n.position), array_agg(n.position::integer order by n.position),
           array_agg(n.want order by n.position)
      into v_organizations, v_limits, v_ask_requests, v_ask_limits, v_wants
      from (
        select d.id, d.organization_id, d.bound / 8 + 1 as want, row_number() over (order by d.id) as position
          from (
            select distinct l.id, l.organization_id, l.bound, l.window_name
              from (
                select k.id, k.organization_id, k.team_id from virtual_keys k
                 where k.hash = any (p_hashes) and k.revoked_at is null and (k.expires_at is null or k.expires_at > clock_timestamp())
                union all
                select k.id, k.organization_id, k.team_id from rotated_secrets s join virtual_keys k on k.id = s.key_id
                 where s.hash = any (p_hashes) and s.works_until > clock_timestamp()
                   and k.revoked_at is null and (k.expires_at is null or k.expires_at > clock_timestamp())
              ) k
              join limits l on l.subject_id in (k.organization_id, k.team_id, k.id) and l.organization_id = k.organization_id
          ) d
         where not exists (
           select 1 from allotments o
            where o.limit_id = d.id and o.process_id is not distinct from p_process and o.amount > 0
              and o.window_start = window_start(d.window_name, clock_timestamp()))
      ) n;
    if v_limits is not null then
      select coalesce(json_agg(json_build_object('limitId', v_limits[a.limit_position], 'organizationId', v_organizations[a.limit_position],
          'bound', a.bound::text, 'extra', a.extra::text, 'startsAt', a.starts_at, 'endsAt', a.ends_at, 'serverTime', a.server_time)), '[]')
        into v_allotted
        from allot(p_process, p_epoch, v_organizations, v_limits, v_ask_requests, v_ask_limits,
          array_fill(0::bigint, array[cardinality(v_limits)]), v_wants) a
       where a.extra > 0;
    end if;
  end if;

  return query
    select s.hash, json_build_object(
      'id', k.id, 'organizationId', k.organization_id, 'teamId', k.team_id, 'alias', k.alias,
      'allowedModels', k.allowed_models, 'allowedEndpoints', k.allowed_endpoints, 'allowedNetworks', k.allowed_networks,
      -- The least of both: null is none.
      'expiresAt', least(k.expires_at, s.works_until),
      -- The keys of an organization that is suspended, or about to be deleted, are no keys.
      'revokedAt', coalesce(k.revoked_at, r.suspended_at, r.delete_after, r.deleted_at),
      'limits', (
        select coalesce(json_agg(json_build_object('id', l.id, 'subject', l.subject, 'subjectId', l.subject_id,
                 'resource', l.resource, 'window', l.window_name, 'bound', l.bound::text) order by l.id), '[]')
          from limits l
         where l.subject_id in (k.organization_id, k.team_id, k.id) and l.organization_id = k.organization_id),
      'uncapped', r.uncapped, 'dropsUnsupported', r.drop_unsupported, 'strategy', r.strategy, 'keepsResponses', r.keep_responses,
      'routing', case when r.routing = '{}' then null else r.routing::text end, 'defaultTags', k.default_tags, 'topUp', top_up_of(k.organization_id),
      'consumers', exists (select 1 from limits l where l.organization_id = k.organization_id and l.consumer is not null))
    from (
      select k.hash, k.id, null::timestamptz as works_until from virtual_keys k where k.hash = any (p_hashes)
      union all
      select o.hash, o.key_id, o.works_until from rotated_secrets o where o.hash = any (p_hashes)
    ) s
    join virtual_keys k on k.id = s.id
    join organizations r on r.id = k.organization_id
    union all
    select null, v_allotted;
end
$$;

-- The limits of one consumer of an organization.
create or replace function limits_of_consumer(p_organization uuid, p_consumer text) returns json
  language sql stable security definer set search_path = nemo, pg_temp
as $$
  select coalesce(json_agg(json_build_object('id', l.id, 'subject', l.subject, 'subjectId', l.subject_id,
    'resource', l.resource, 'window', l.window_name, 'bound', l.bound::text) order by l.id), '[]')
  from limits l where l.organization_id = p_organization and l.consumer = p_consumer
$$;
