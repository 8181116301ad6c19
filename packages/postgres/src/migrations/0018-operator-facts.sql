-- What the operator said of a model stays, whatever a refresh has to say of it.
alter table models add column facts_by_operator boolean not null default false;
