-- A string that changes whenever a table, column, privilege, key, view, type, or anything that decides whether a table
-- runs code of the project changes, in any schema. It combines hashes of the id and the creating transaction (`xmin`)
-- of each catalogue row. Runs twice a second for every project in use, so it must stay cheap: objects of Postgres
-- itself are skipped by index. Temporary objects are ignored. Every function is named with its schema, see
-- `Statement::of_catalogue`.
(WITH rel AS MATERIALIZED (
    SELECT c.oid, c.xmin FROM pg_catalog.pg_class c
    WHERE c.oid >= '16384'::pg_catalog.oid AND c.relpersistence <> 't'::pg_catalog."char"
), item (xmin, id) AS (
    SELECT c.xmin, c.oid::pg_catalog.int8 FROM rel c
    UNION ALL
    SELECT n.xmin, n.oid::pg_catalog.int8 FROM pg_catalog.pg_namespace n
    WHERE n.oid >= '16384'::pg_catalog.oid AND NOT pg_catalog.starts_with(n.nspname::pg_catalog.text, 'pg_')
    UNION ALL
    SELECT n.xmin, n.oid::pg_catalog.int8 FROM pg_catalog.pg_namespace n WHERE n.nspname = 'public'
    UNION ALL
    SELECT a.xmin, a.attrelid::pg_catalog.int8 # (a.attnum::pg_catalog.int8 << 20)
    FROM rel c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
    WHERE a.attnum > 0::pg_catalog.int2
    UNION ALL
    SELECT k.xmin, k.oid::pg_catalog.int8 FROM pg_catalog.pg_constraint k
    WHERE k.contypid <> '0'::pg_catalog.oid AND k.oid >= '16384'::pg_catalog.oid OR k.conrelid IN (SELECT oid FROM rel)
    UNION ALL
    SELECT i.xmin, i.indexrelid::pg_catalog.int8 FROM rel c JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
    UNION ALL
    SELECT d.xmin, d.oid::pg_catalog.int8 FROM rel c JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid
    UNION ALL
    SELECT r.xmin, r.oid::pg_catalog.int8 FROM rel c JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid
    UNION ALL
    SELECT g.xmin, g.oid::pg_catalog.int8 FROM rel c JOIN pg_catalog.pg_trigger g ON g.tgrelid = c.oid
    UNION ALL
    SELECT p.xmin, p.oid::pg_catalog.int8 FROM rel c JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid
    UNION ALL
    SELECT h.xmin, h.inhrelid::pg_catalog.int8 FROM rel c JOIN pg_catalog.pg_inherits h ON h.inhrelid = c.oid
    UNION ALL
    SELECT s.xmin, s.oid::pg_catalog.int8 FROM rel c JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = c.oid
    UNION ALL
    SELECT t.xmin, t.oid::pg_catalog.int8 FROM pg_catalog.pg_type t
    -- Composite and array types follow their tables and elements.
    WHERE t.oid >= '16384'::pg_catalog.oid AND t.typtype <> 'c'::pg_catalog."char" AND t.typelem = '0'::pg_catalog.oid
    UNION ALL
    SELECT o.xmin, o.oid::pg_catalog.int8 FROM pg_catalog.pg_operator o WHERE o.oid >= '16384'::pg_catalog.oid
    UNION ALL
    SELECT s.xmin, s.oid::pg_catalog.int8 FROM pg_catalog.pg_cast s WHERE s.oid >= '16384'::pg_catalog.oid
    UNION ALL
    SELECT f.xmin, f.oid::pg_catalog.int8
    FROM pg_catalog.pg_proc f JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace
    WHERE f.oid >= '16384'::pg_catalog.oid AND NOT pg_catalog.starts_with(n.nspname::pg_catalog.text, 'pg_temp_')
)
SELECT pg_catalog.concat_ws('.', pg_catalog.count(*),
    pg_catalog.sum(pg_catalog.hashint8((item.xmin::pg_catalog.text::pg_catalog.int8 << 32) | item.id)
        ::pg_catalog.int8))
FROM item)
