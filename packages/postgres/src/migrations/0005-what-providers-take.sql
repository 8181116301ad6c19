-- A field that a provider has nothing like: refused, or left out and named in the answer's headers.
alter table organizations add column drop_unsupported boolean not null default false;

drop trigger config_changed on organizations;
create trigger config_changed after update of uncapped, drop_unsupported on organizations
  for each row execute function notify_config_changed('organization');

-- What a provider's address or authentication needs beside the secret: a region, an account, a project.
alter table provider_credentials add column settings jsonb not null default '{}' check (jsonb_typeof(settings) = 'object');
