-- The names in a project's database as one JSON document, in the form of `api_types::DatabaseSchema`.
WITH namespace AS MATERIALIZED (
    SELECT n.oid, n.nspname FROM pg_catalog.pg_namespace n
    WHERE n.nspname <> 'information_schema' AND NOT pg_catalog.starts_with(n.nspname::text, 'pg_')
), relation AS (
    SELECT c.relnamespace, pg_catalog.json_agg(pg_catalog.json_build_object(
        'name', c.relname,
        'kind', CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized_view' WHEN 'f' THEN 'foreign_table'
                               ELSE 'table' END,
        'columns', (
            SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
                'name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum), '[]')
            FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)) ORDER BY c.relname) AS items
    FROM pg_catalog.pg_class c
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relnamespace IN (SELECT oid FROM namespace)
    GROUP BY c.relnamespace
), routine AS (
    SELECT p.pronamespace, pg_catalog.json_agg(pg_catalog.json_build_object(
        'name', p.proname,
        'kind', CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' WHEN 'w' THEN 'window'
                               ELSE 'function' END,
        'arguments', pg_catalog.pg_get_function_arguments(p.oid),
        'returns', pg_catalog.pg_get_function_result(p.oid)) ORDER BY p.proname, p.oid) AS items
    FROM pg_catalog.pg_proc p
    WHERE p.pronamespace IN (SELECT oid FROM namespace)
    GROUP BY p.pronamespace
), enumeration AS (
    SELECT t.typnamespace, pg_catalog.json_agg(pg_catalog.json_build_object(
        'name', t.typname,
        'values', (SELECT coalesce(pg_catalog.json_agg(e.enumlabel ORDER BY e.enumsortorder), '[]')
                   FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid)) ORDER BY t.typname) AS items
    FROM pg_catalog.pg_type t
    WHERE t.typtype = 'e' AND t.typnamespace IN (SELECT oid FROM namespace)
    GROUP BY t.typnamespace
)
SELECT pg_catalog.json_build_object('schemas', coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
    'name', n.nspname,
    'tables', coalesce(r.items, '[]'),
    'functions', coalesce(f.items, '[]'),
    'enums', coalesce(e.items, '[]')) ORDER BY n.nspname <> 'public', n.nspname), '[]'))::text
FROM namespace n
LEFT JOIN relation r ON r.relnamespace = n.oid
LEFT JOIN routine f ON f.pronamespace = n.oid
LEFT JOIN enumeration e ON e.typnamespace = n.oid
