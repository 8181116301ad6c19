-- Three roles that can't log in and own no table. The role of DATABASE_URL owns the schema, migrates it, and
-- becomes one of these for everything else.
--
--   nemo_app       what tenants' requests run as: sees one organization, the one of `withOrganization`
--   nemo_operator  what the operator's commands run as: sees all organizations, and the operator's own tables
--   nemo_kernel    owns the few `security definer` functions that cross tenants by design; nobody becomes it
do $$
declare
  role_name text;
begin
  foreach role_name in array array['nemo_app', 'nemo_operator', 'nemo_kernel'] loop
    begin
      execute format('create role %I nologin noinherit', role_name);
    exception
      -- Roles belong to the whole server: another database of ours may have made them, even at this moment.
      when duplicate_object or unique_violation then null;
    end;
    -- Whoever may create a role isn't thereby allowed to become it (PostgreSQL 16 on).
    execute format('grant %I to current_user', role_name);
  end loop;
end
$$;

grant usage on schema nemo to nemo_app, nemo_operator, nemo_kernel;

-- The organization that this transaction acts for. After a commit a local setting reads as '', not as null.
create function current_organization() returns uuid
  language sql stable
  return nullif(current_setting('app.organization_id', true), '')::uuid;
