/**
 * The first tables.
 * `scope` gives a small number to each (kind, account, region), so that facets are short and one scope is one index range.
 * `facet.term` is a facet's name and value with U+001F between; `resource.facets` holds the same terms as a JSON array, in
 * front of the record so that reading them does not touch the record's overflow pages.
 * `counter` rows only rise, also through a reset: `sequence` of resources, `seq` of events, `generation` of assignments.
 * `claim.number` is the key as a number where it is one, for the search of a free number.
 */
export const sql = `
create table counter (name text primary key, value integer not null) strict, without rowid;
insert into counter values ('sequence', 0), ('seq', 0), ('generation', 0);

create table scope (
  id integer primary key, kind text not null, account text not null, region text not null,
  unique (kind, account, region)
) strict;

create table resource (
  sequence integer primary key, scope integer not null, id text not null unique, version integer not null,
  schema integer not null, facets text not null, record text not null
) strict;
create index resource_by_scope on resource (scope);

create table facet (
  scope integer not null, term text not null, sequence integer not null,
  primary key (scope, term, sequence)
) strict, without rowid;

create table reference (
  "from" text not null, "to" text not null, role text not null,
  primary key ("from", "to", role)
) strict, without rowid;
create index reference_by_to on reference ("to", role);

create table claim (
  scope text not null, key text not null, owner text not null, number integer,
  primary key (scope, key)
) strict, without rowid;
create index claim_by_owner on claim (owner);
create index claim_by_number on claim (scope, number) where number is not null;

create table assignment (
  host text not null, resource text not null, kind text not null, generation integer not null, spec text not null,
  primary key (host, resource)
) strict, without rowid;

create table event (
  seq integer primary key, at_ms real not null, kind text not null, subject text not null, account text not null,
  region text not null, detail text not null
) strict;
`
