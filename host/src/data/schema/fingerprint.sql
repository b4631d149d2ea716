-- A text that changes whenever a table, column, privilege, key or view of schema `public` changes. It sums up the
-- transaction that created each catalogue row. Runs once a second for every project in use, so it must stay cheap.
SELECT concat_ws('.',
    (SELECT concat_ws('.', count(*), sum(hashint8((c.xmin::text::int8 << 32) | c.oid::int8)::int8))
     FROM pg_catalog.pg_class c
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'public'),
    (SELECT n.xmin FROM pg_catalog.pg_namespace n WHERE n.nspname = 'public'),
    (SELECT concat_ws('.', count(*),
        sum(hashint8((a.xmin::text::int8 << 32) | (a.attrelid::int8 # (a.attnum::int8 << 20)))::int8))
     FROM pg_catalog.pg_class c
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
     WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')),
    (SELECT concat_ws('.', count(*), sum(hashint8((k.xmin::text::int8 << 32) | k.oid::int8)::int8))
     FROM pg_catalog.pg_constraint k
     JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace
     WHERE n.nspname = 'public'),
    (SELECT concat_ws('.', count(*), sum(hashint8((i.xmin::text::int8 << 32) | i.indexrelid::int8)::int8))
     FROM pg_catalog.pg_index i
     JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'public'),
    (SELECT concat_ws('.', count(*), sum(hashint8((t.xmin::text::int8 << 32) | t.oid::int8)::int8))
     FROM pg_catalog.pg_type t
     JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
     -- Composite and array types follow their tables and elements.
     WHERE n.nspname = 'public' AND t.typtype <> 'c' AND t.typelem = 0)
)
