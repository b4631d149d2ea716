-- Tables of a database with their columns, as JSON, without system tables.
SELECT coalesce(pg_catalog.json_agg(t ORDER BY t.schema, t.name), '[]')::text FROM (
    SELECT n.nspname AS schema, c.relname AS name,
           greatest(c.reltuples, 0)::bigint AS "estimatedRows",
           (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
                       'name', a.attname,
                       'dataType', pg_catalog.format_type(a.atttypid, a.atttypmod),
                       'nullable', NOT a.attnotnull) ORDER BY a.attnum), '[]')
            FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
) AS t
