-- One table or view of schema `public` as a JSON object, parsed by `detail.rs`.
-- `$1`: its name · `$2`, `$3`: the roles of publishable keys and of signed-in users
-- `estimatedRows` is explained at `LIST_TABLES`.
WITH reference AS (
    SELECT k.conname AS name, k.conrelid, k.confrelid, k.conparentid, json_build_object(
        'name', k.conname,
        'schema', n.nspname, 'table', t.relname,
        'columns', (SELECT json_agg(a.attname ORDER BY i.position)
                    FROM unnest(k.conkey) WITH ORDINALITY AS i (attnum, position)
                    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = i.attnum),
        'referencesSchema', rn.nspname, 'referencesTable', r.relname,
        'referencesColumns', (SELECT json_agg(a.attname ORDER BY i.position)
                    FROM unnest(k.confkey) WITH ORDINALITY AS i (attnum, position)
                    JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = i.attnum),
        'onDelete', CASE k.confdeltype WHEN 'r' THEN 'restrict' WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'setNull'
                                       WHEN 'd' THEN 'setDefault' ELSE 'noAction' END,
        'onUpdate', CASE k.confupdtype WHEN 'r' THEN 'restrict' WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'setNull'
                                       WHEN 'd' THEN 'setDefault' ELSE 'noAction' END) AS reference
    FROM pg_constraint k
    JOIN pg_class t ON t.oid = k.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_class r ON r.oid = k.confrelid JOIN pg_namespace rn ON rn.oid = r.relnamespace
    WHERE k.contype = 'f'
)
SELECT json_build_object(
    'name', c.relname,
    'kind', CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized_view' WHEN 'f' THEN 'foreign_table'
                           ELSE 'table' END,
    'comment', obj_description(c.oid, 'pg_class'),
    'exposure', json_build_object(
        'publishable', CASE WHEN has_table_privilege($2, c.oid, 'INSERT, UPDATE, DELETE') THEN 'write'
                            WHEN has_table_privilege($2, c.oid, 'SELECT') THEN 'read' ELSE 'none' END,
        'signedIn', CASE WHEN has_table_privilege($3, c.oid, 'INSERT, UPDATE, DELETE') THEN 'write'
                         WHEN has_table_privilege($3, c.oid, 'SELECT') THEN 'read' ELSE 'none' END),
    'forceRowLevelSecurity', c.relforcerowsecurity,
    'writes', CASE c.relkind WHEN 'm' THEN 0 WHEN 'v' THEN pg_relation_is_updatable(c.oid, true)
                             WHEN 'f' THEN pg_relation_is_updatable(c.oid, true) ELSE 28 END,
    'estimatedRows', CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint
                          WHEN c.relkind <> 'r' OR pg_relation_size(c.oid) > 1048576 THEN NULL
                          WHEN pg_relation_size(c.oid) = 0 THEN 0
                          WHEN pg_stat_get_live_tuples(c.oid) >= pg_relation_size(c.oid) / 8192
                          THEN pg_stat_get_live_tuples(c.oid) END,
    'totalBytes', CASE WHEN c.relkind IN ('v', 'f') THEN 0 ELSE pg_total_relation_size(c.oid) END,
    'indexBytes', CASE WHEN c.relkind IN ('v', 'f') THEN 0 ELSE pg_indexes_size(c.oid) END,
    'columns', (
        SELECT coalesce(json_agg(json_build_object(
            'name', a.attname,
            'type', format_type(a.atttypid, a.atttypmod),
            'nullable', NOT (a.attnotnull OR domains.not_null),
            'hasDefault', a.atthasdef OR a.attidentity <> '' OR declared.typdefault IS NOT NULL,
            'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
            'identity', CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'byDefault' END,
            'generated', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END,
            'primaryKey', coalesce(a.attnum = ANY (pk.conkey), false),
            'enumValues', (
                SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = domains.base),
            'comment', col_description(c.oid, a.attnum)) ORDER BY a.attnum), '[]'::json)
        FROM pg_attribute a
        JOIN pg_type declared ON declared.oid = a.atttypid
        -- The type and, if it is a domain, the types below it. A domain can be based on another domain.
        CROSS JOIN LATERAL (
            WITH RECURSIVE below AS (
                SELECT declared.oid, declared.typbasetype, declared.typnotnull
                UNION ALL
                SELECT t.oid, t.typbasetype, t.typnotnull FROM below JOIN pg_type t ON t.oid = below.typbasetype)
            SELECT bool_or(typnotnull) AS not_null, max(oid) FILTER (WHERE typbasetype = 0) AS base FROM below) domains
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    'primaryKey', (
        SELECT coalesce(json_agg(a.attname ORDER BY k.position), '[]'::json)
        FROM unnest(pk.conkey) WITH ORDINALITY AS k (attnum, position)
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum),
    'uniqueKeys', (
        SELECT coalesce(json_agg(json_build_object(
            'name', coalesce(k.conname, ic.relname),
            'columns', (SELECT json_agg(a.attname ORDER BY n.position)
                        FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY AS n (attnum, position)
                        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = n.attnum),
            'primary', i.indisprimary) ORDER BY i.indisprimary DESC, ic.relname), '[]'::json)
        FROM pg_index i
        JOIN pg_class ic ON ic.oid = i.indexrelid
        LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u')
        WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
          AND NOT i.indisexclusion),
    'constraints', (
        SELECT coalesce(json_agg(json_build_object(
            'name', k.conname,
            'kind', CASE k.contype WHEN 'p' THEN 'primaryKey' WHEN 'u' THEN 'unique' WHEN 'c' THEN 'check'
                                   ELSE 'exclusion' END,
            'columns', (SELECT coalesce(json_agg(a.attname ORDER BY n.position), '[]'::json)
                        FROM unnest(k.conkey) WITH ORDINALITY AS n (attnum, position)
                        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = n.attnum),
            'definition', pg_get_constraintdef(k.oid, true),
            'validated', k.convalidated) ORDER BY k.contype = 'p' DESC, k.conname), '[]'::json)
        FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'c', 'x')),
    'foreignKeys', (
        SELECT coalesce(json_agg(r.reference ORDER BY r.name), '[]'::json)
        FROM reference r WHERE r.conrelid = c.oid
          -- Postgres repeats a reference to a partitioned table for each of its partitions.
          AND NOT EXISTS (SELECT FROM pg_constraint p WHERE p.oid = r.conparentid AND p.conrelid = r.conrelid)),
    'referencedBy', (
        SELECT coalesce(json_agg(r.reference ORDER BY r.reference ->> 'table', r.name), '[]'::json)
        FROM reference r
        -- Postgres repeats a foreign key of a partitioned table for each of its partitions.
        WHERE r.confrelid = c.oid AND r.conparentid = 0),
    'indexes', (
        SELECT coalesce(json_agg(json_build_object(
            'name', ic.relname, 'definition', pg_get_indexdef(i.indexrelid),
            'unique', i.indisunique, 'primary', i.indisprimary, 'valid', i.indisvalid,
            'constraint', k.conname,
            'sizeBytes', pg_relation_size(i.indexrelid),
            'scans', coalesce(pg_stat_get_numscans(i.indexrelid), 0))
            ORDER BY i.indisprimary DESC, ic.relname), '[]'::json)
        FROM pg_index i
        JOIN pg_class ic ON ic.oid = i.indexrelid
        LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid
            AND k.contype IN ('p', 'u', 'x')
        WHERE i.indrelid = c.oid),
    'triggers', (
        SELECT coalesce(json_agg(json_build_object(
            'name', g.tgname, 'definition', pg_get_triggerdef(g.oid, true), 'enabled', g.tgenabled <> 'D')
            ORDER BY g.tgname), '[]'::json)
        FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal),
    'source', json_build_object(
        'unlogged', c.relpersistence = 'u',
        'view', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid, true) END,
        'options', (SELECT string_agg(o.option_name || '=' || o.option_value, ', ')
                    FROM pg_options_to_table(c.reloptions) o),
        'partitionOf', (SELECT format('%I.%I %s', pn.nspname, p.relname, pg_get_expr(c.relpartbound, c.oid))
                        FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent
                        JOIN pg_namespace pn ON pn.oid = p.relnamespace
                        WHERE h.inhrelid = c.oid AND c.relispartition),
        'partitionKey', CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
        'server', (SELECT quote_ident(s.srvname) FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver
                   WHERE f.ftrelid = c.oid),
        'collations', (
            SELECT coalesce(json_object_agg(a.attname, format('%I.%I', ln.nspname, l.collname)), '{}'::json)
            FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
            JOIN pg_collation l ON l.oid = a.attcollation JOIN pg_namespace ln ON ln.oid = l.collnamespace
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attcollation <> t.typcollation),
        'virtualColumns', (
            SELECT coalesce(json_agg(a.attname), '[]'::json) FROM pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = 'v'),
        'notNull', (
            SELECT coalesce(json_agg(a.attname), '[]'::json) FROM pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull),
        'foreignKeys', (
            SELECT coalesce(json_agg(json_build_object('name', k.conname,
                'definition', pg_get_constraintdef(k.oid, true)) ORDER BY k.conname), '[]'::json)
            FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.conparentid = 0))
)::text
FROM pg_class c
LEFT JOIN pg_constraint pk ON pk.conrelid = c.oid AND pk.contype = 'p'
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname = $1
