-- Who somebody is elsewhere: at Google, at GitHub, or at the provider of an organization (`sso:` and its id). The subject is what they call him there, for good.
create table external_identities (
  provider text not null check (length(provider) between 1 and 100),
  subject text not null check (length(subject) between 1 and 255),
  user_id uuid not null references users on delete cascade,
  created_at timestamptz not null default now(),
  primary key (provider, subject)
);
create index external_identities_user on external_identities (user_id);
grant select, insert on external_identities to nemo_identity, nemo_operator;

-- Where the members of an organization sign in: an OpenID provider that its admins named. The client's secret is sealed under NEMO_MASTER_KEY.
create table sso_connections (
  id uuid primary key,
  organization_id uuid not null unique references organizations,
  issuer text not null check (length(issuer) between 1 and 500),
  client_id text not null check (length(client_id) between 1 and 500),
  client_secret bytea not null,
  -- What who comes for the first time is; null lets in only who is a member already.
  default_role text check (default_role in ('admin', 'member', 'viewer')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
alter table sso_connections enable row level security;
alter table sso_connections force row level security;
create policy tenant on sso_connections to nemo_app using (organization_id = current_organization())
  with check (organization_id = current_organization());
create policy operator on sso_connections to nemo_operator using (true) with check (true);
create policy identity on sso_connections to nemo_identity using (true);
grant select (id, organization_id, issuer, client_id, default_role, created_at, updated_at) on sso_connections to nemo_app;
grant insert (id, organization_id, issuer, client_id, client_secret, default_role), delete on sso_connections to nemo_app;
grant update (issuer, client_id, client_secret, default_role, updated_at) on sso_connections to nemo_app;
grant select on sso_connections to nemo_identity;
grant select, update (client_secret), delete on sso_connections to nemo_operator;

-- A session that an organization's provider vouched for is good for that organization: its admins could vouch for anyone.
alter table sessions add column sso_organization_id uuid references organizations;
