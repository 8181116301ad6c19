-- Takes out of an organization's request logs what may be personal: whom its calls were for, and the names that it gave. Of some thousand rows after the given
-- one; answers with the last of them, or null when there was none. Only for what is to be deleted, and whose time has come: charges stay as they are.
create or replace function erase_callers(p_organization uuid, p_after timestamptz, p_after_id uuid, out last_at timestamptz, out last_id uuid)
  language plpgsql security definer set search_path = nemo, pg_temp
as $$
begin
  if not exists (select from organizations where id = p_organization and delete_after <= clock_timestamp()) then
    raise exception 'organization % is not to be deleted now', p_organization;
  end if;
  with batch as materialized (
    select l.started_at, l.id from request_logs l
     where l.organization_id = p_organization and (l.started_at, l.id) > (p_after, p_after_id)
     order by l.started_at, l.id limit 5000),
  erased as (
    update request_logs l set consumer = null, session_id = null, tags = null, error_detail = null, key_alias = l.key_id::text
      from batch b where l.started_at = b.started_at and l.id = b.id)
  select b.started_at, b.id into last_at, last_id from batch b order by b.started_at desc, b.id desc limit 1;
end
$$;
