-- Everything in schema `public` on which role $1 has a privilege, as one JSON text. Parsed by `catalogue.rs`.
WITH RECURSIVE rel AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relkind,
           pg_catalog.has_table_privilege($1::name, c.oid, 'SELECT') AS can_select,
           pg_catalog.has_table_privilege($1::name, c.oid, 'INSERT') AS can_insert,
           pg_catalog.has_table_privilege($1::name, c.oid, 'UPDATE') AS can_update,
           pg_catalog.has_table_privilege($1::name, c.oid, 'DELETE') AS can_delete
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND pg_catalog.has_schema_privilege($1::name, n.oid, 'USAGE')
), att AS MATERIALIZED (
    SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.atthasdef, a.attidentity,
    a.attgenerated,
           r.can_select OR pg_catalog.has_column_privilege($1::name, a.attrelid, a.attnum, 'SELECT') AS can_select,
           r.can_insert OR pg_catalog.has_column_privilege($1::name, a.attrelid, a.attnum, 'INSERT') AS can_insert,
           r.can_update OR pg_catalog.has_column_privilege($1::name, a.attrelid, a.attnum, 'UPDATE') AS can_update
    FROM rel r
    JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
), typ(oid) AS (
    SELECT atttypid FROM att
    UNION
    SELECT part.oid
    FROM typ
    JOIN pg_catalog.pg_type t ON t.oid = typ.oid
    LEFT JOIN pg_catalog.pg_range g ON t.oid IN (g.rngtypid, g.rngmultitypid)
    CROSS JOIN LATERAL (VALUES
        (t.typbasetype), (CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END), (g.rngtypid), (g.rngsubtype)
    ) part(oid)
    WHERE part.oid <> '0'::pg_catalog.oid
), /*project_code*/
SELECT pg_catalog.json_build_object(
    'version', /*fingerprint*/,
    'types', (
        SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
            'oid', t.oid::int8,
            'name', pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname),
            'builtin', CASE WHEN n.nspname = 'pg_catalog' THEN t.typname ELSE '' END,
            'jsonCast', EXISTS (SELECT FROM pg_catalog.pg_cast p
                WHERE p.castsource = t.oid AND p.castmethod = 'f'
                  AND p.casttarget = 'pg_catalog.json'::pg_catalog.regtype::pg_catalog.oid),
            'kind', t.typtype, 'category', t.typcategory,
            'base', t.typbasetype::int8, 'notNull', t.typnotnull, 'hasDefault', t.typdefault IS NOT NULL,
            'element', CASE WHEN t.typcategory = 'A' THEN t.typelem::int8 ELSE 0 END,
            'range', coalesce(g.rngtypid, 0)::int8, 'subtype', coalesce(g.rngsubtype, 0)::int8)), '[]')
        FROM typ
        JOIN pg_catalog.pg_type t ON t.oid = typ.oid
        JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
        LEFT JOIN pg_catalog.pg_range g ON t.oid IN (g.rngtypid, g.rngmultitypid)),
    'tables', (
        SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
            'oid', r.oid::int8, 'name', r.relname, 'kind', r.relkind,
            'writes', CASE r.relkind WHEN 'm' THEN 0
                WHEN 'v' THEN pg_catalog.pg_relation_is_updatable(r.oid::regclass, true)
                WHEN 'f' THEN pg_catalog.pg_relation_is_updatable(r.oid::regclass, true) ELSE 28 END,
            'select', r.can_select, 'insert', r.can_insert, 'update', r.can_update, 'delete', r.can_delete,
            'readsRunCode', e.run_code OR EXISTS (SELECT FROM runs_code x
                WHERE x.oid = r.oid AND (x.kind = 'r' OR x.kind = 'p' AND NOT y.bypasses_policies)),
            'writesRunCode', e.run_code OR EXISTS (SELECT FROM runs_code x
                WHERE x.oid = r.oid AND (x.kind IN ('r', 'w') OR x.kind = 'p' AND NOT y.bypasses_policies))
        )), '[]')
        FROM rel r CROSS JOIN everywhere e CROSS JOIN caller y),
    'columns', (
        SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
            'table', a.attrelid::int8, 'number', a.attnum, 'name', a.attname,
            'type', a.atttypid::int8, 'dataType', pg_catalog.format_type(a.atttypid, a.atttypmod),
            'notNull', a.attnotnull, 'hasDefault', a.atthasdef, 'identity', a.attidentity, 'generated', a.attgenerated,
            'select', a.can_select, 'insert', a.can_insert, 'update', a.can_update) ORDER BY a.attrelid, a.attnum),
            '[]')
        FROM att a),
    'keys', (
        SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
            'table', i.indrelid::int8,
            'name', coalesce(k.conname, ic.relname), 'columns', (i.indkey::int2[])[0:i.indnkeyatts - 1],
            'primary', i.indisprimary, 'deferrable', NOT i.indimmediate) ORDER BY i.indisprimary DESC, ic.relname),
            '[]')
        FROM rel r
        JOIN pg_catalog.pg_index i ON i.indrelid = r.oid
        JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
        LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid
        AND k.contype IN ('p', 'u')
        WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
          AND NOT i.indisexclusion),
    'foreignKeys', (
        SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
            'name', k.conname, 'table', k.conrelid::int8, 'columns', k.conkey,
            'referencesTable', k.confrelid::int8, 'referencesColumns', k.confkey) ORDER BY k.conrelid, k.conname), '[]')
        FROM pg_catalog.pg_constraint k
        WHERE k.contype = 'f'
          AND k.conrelid IN (SELECT oid FROM rel) AND k.confrelid IN (SELECT oid FROM rel)
          -- Postgres repeats a reference to a partitioned table for each of its partitions.
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint p WHERE p.oid = k.conparentid
          AND p.conrelid = k.conrelid))
)::text
