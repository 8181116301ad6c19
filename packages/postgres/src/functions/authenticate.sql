-- The one look-up that crosses tenants: from a key's hash to the key, its organization and every limit that binds it.
-- Revoked and expired keys are returned too; whoever asks decides, with its own clock.
create or replace function authenticate_key(p_hash bytea) returns json
  language sql stable security definer set search_path = nemo, pg_temp
as $$
  select json_build_object(
    'id', k.id, 'organizationId', k.organization_id, 'teamId', k.team_id, 'alias', k.alias,
    'allowedModels', k.allowed_models, 'expiresAt', k.expires_at, 'revokedAt', k.revoked_at,
    'limits', (
      select coalesce(json_agg(json_build_object('id', l.id, 'subject', l.subject, 'subjectId', l.subject_id,
        'resource', l.resource, 'window', l.window_name, 'bound', l.bound::text) order by l.id), '[]')
      from limits l
      where l.organization_id = k.organization_id and l.subject_id in (k.organization_id, k.team_id, k.id)))
  from virtual_keys k where k.hash = p_hash
$$;
