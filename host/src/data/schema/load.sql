-- The tables of schema `public`, with the privileges of role $1, as one JSON document. Parsed by `catalogue.rs`, which
-- drops the tables and columns without a privilege.
WITH RECURSIVE rel AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relkind,
           -- A unique key of a table does not cover the tables that inherit from it. A key of a partitioned table
           -- covers its partitions.
           c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid) AS has_heirs,
           pg_catalog.has_table_privilege($1::name, c.oid, 'SELECT') AS can_select,
           pg_catalog.has_table_privilege($1::name, c.oid, 'INSERT') AS can_insert,
           pg_catalog.has_table_privilege($1::name, c.oid, 'UPDATE') AS can_update,
           pg_catalog.has_table_privilege($1::name, c.oid, 'DELETE') AS can_delete
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND pg_catalog.has_schema_privilege($1::name, n.oid, 'USAGE')
      -- An exposed view that was replaced without `security_invoker` keeps its privileges, but would read with those of
      -- its owner, past the policies of its tables.
      AND (c.relkind <> 'v'::pg_catalog."char"
           OR (SELECT y.bypasses_policies FROM caller y)
           OR EXISTS (SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) v
                      WHERE v.option_name = 'security_invoker' AND v.option_value::pg_catalog.bool))
), att AS MATERIALIZED (
    SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.atthasdef, a.attidentity,
           a.attgenerated,
           (SELECT k.collname FROM pg_catalog.pg_collation k
            WHERE k.oid = a.attcollation AND NOT k.collisdeterministic) AS nondeterministic_collation,
           r.can_select OR pg_catalog.has_column_privilege($1::name, a.attrelid, a.attnum, 'SELECT') AS can_select,
           r.can_insert OR pg_catalog.has_column_privilege($1::name, a.attrelid, a.attnum, 'INSERT') AS can_insert,
           r.can_update OR pg_catalog.has_column_privilege($1::name, a.attrelid, a.attnum, 'UPDATE') AS can_update
    FROM rel r
    JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
), typ(oid) AS (
    SELECT atttypid FROM att WHERE can_select OR can_insert OR can_update
    UNION
    SELECT part.oid
    FROM typ
    JOIN pg_catalog.pg_type t ON t.oid = typ.oid
    LEFT JOIN pg_catalog.pg_range g ON t.oid IN (g.rngtypid, g.rngmultitypid)
    CROSS JOIN LATERAL (
        VALUES (t.typbasetype), (CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END), (g.rngtypid), (g.rngsubtype)
        UNION ALL
        SELECT a.atttypid FROM pg_catalog.pg_attribute a
        WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    ) part(oid)
    WHERE part.oid <> '0'::pg_catalog.oid
), class AS MATERIALIZED (
    -- The default operator classes, which decide how Postgres sorts and compares a type.
    SELECT c.opcintype AS type, c.opcfamily AS family, m.amname AS method
    FROM pg_catalog.pg_opclass c
    JOIN pg_catalog.pg_am m ON m.oid = c.opcmethod
    WHERE c.opcdefault AND m.amname IN ('btree', 'hash')
), opr AS (
    -- The operators of base types outside of `pg_catalog`. Those of the type's default btree class come first (rank 0),
    -- then those of its hash class, then others of the same name.
    SELECT DISTINCT ON (o.type, o.name) o.type, o.name,
        pg_catalog.format('OPERATOR(%I.%s)', n.nspname, o.oprname) AS sql
    FROM (
        SELECT c.type, s.name, o.oprname, o.oprnamespace, CASE c.method WHEN 'btree' THEN 0 ELSE 1 END AS rank
        FROM class c
        JOIN pg_catalog.pg_amop m
            ON m.amopfamily = c.family AND m.amoplefttype = c.type AND m.amoprighttype = c.type AND m.amoppurpose = 's'
        JOIN pg_catalog.pg_operator own ON own.oid = m.amopopr
        CROSS JOIN LATERAL (VALUES
            (CASE c.method WHEN 'btree' THEN ('{<,<=,=,>=,>}'::text[])[m.amopstrategy]
                           ELSE CASE m.amopstrategy WHEN 1 THEN '=' END END, own.oid),
            (CASE WHEN m.amopstrategy = CASE c.method WHEN 'btree' THEN 3 ELSE 1 END THEN '<>' END, own.oprnegate)
        ) s(name, oid)
        JOIN pg_catalog.pg_operator o ON o.oid = s.oid
        WHERE s.name IS NOT NULL
        UNION ALL
        SELECT o.oprleft, o.oprname, o.oprname, o.oprnamespace, 2
        FROM pg_catalog.pg_operator o
        WHERE o.oprresult = 'bool'::pg_catalog.regtype::pg_catalog.oid AND o.oprname IN (
                '=', '<>', '<', '<=', '>', '>=', '~~', '~~*', '@>', '<@', '&&', '?|')
          AND o.oprright = CASE WHEN o.oprname IN ('~~', '~~*') THEN 'text'::pg_catalog.regtype::pg_catalog.oid
                                WHEN o.oprname = '?|' THEN 'text[]'::pg_catalog.regtype::pg_catalog.oid
                                ELSE o.oprleft END
    ) o
    JOIN typ ON typ.oid = o.type
    JOIN pg_catalog.pg_type t ON t.oid = o.type AND t.typtype = 'b'
        AND t.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace::pg_catalog.oid
    JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
    ORDER BY o.type, o.name, o.rank, o.oprnamespace <> t.typnamespace
), /*project_code*/
SELECT pg_catalog.json_build_object(
    'version', /*fingerprint*/,
    'serverVersion', pg_catalog.current_setting('server_version_num')::int4,
    'types', (
        SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
            'oid', t.oid::int8,
            'name', pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname),
            'builtin', CASE WHEN n.nspname = 'pg_catalog' THEN t.typname ELSE '' END,
            'jsonCast', EXISTS (SELECT FROM pg_catalog.pg_cast p
                WHERE p.castsource = t.oid AND p.castmethod = 'f'
                  AND p.casttarget = 'pg_catalog.json'::pg_catalog.regtype::pg_catalog.oid),
            'textCast', n.nspname <> 'pg_catalog' AND EXISTS (SELECT FROM pg_catalog.pg_cast p
                WHERE p.castsource = t.oid AND p.castmethod = 'f'
                  AND p.casttarget = 'text'::pg_catalog.regtype::pg_catalog.oid),
            'ordered', EXISTS (SELECT FROM class c WHERE c.method = 'btree' AND (c.type = t.oid
                OR EXISTS (SELECT FROM pg_catalog.pg_cast p WHERE p.castsource = t.oid AND p.casttarget = c.type
                           AND p.castmethod = 'b' AND p.castcontext = 'i'))),
            'operators', (
                SELECT coalesce(pg_catalog.json_object_agg(o.name, o.sql), '{}') FROM opr o WHERE o.type = t.oid),
            'attributes', (
                SELECT coalesce(pg_catalog.json_agg(
                    pg_catalog.json_build_array(a.attname, a.atttypid::int8) ORDER BY a.attnum), '[]')
                FROM pg_catalog.pg_attribute a
                WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
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
            'nondeterministicCollation', a.nondeterministic_collation,
            'select', a.can_select, 'insert', a.can_insert, 'update', a.can_update) ORDER BY a.attrelid, a.attnum),
            '[]')
        FROM att a),
    'keys', (
        SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
            'table', i.indrelid::int8,
            'name', coalesce(k.conname, ic.relname), 'columns', (i.indkey::int2[])[0:i.indnkeyatts - 1],
            'primary', i.indisprimary, 'deferrable', NOT i.indimmediate,
            -- Whether the index compares values as the columns do.
            'identifies', NOT r.has_heirs AND NOT EXISTS (
                SELECT FROM ROWS FROM (pg_catalog.unnest(i.indkey::int2[]), pg_catalog.unnest(i.indclass::oid[]),
                    pg_catalog.unnest(i.indcollation::oid[])) AS x(num, class, coll)
                JOIN att a ON a.attrelid = i.indrelid AND a.attnum = x.num
                JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
                JOIN pg_catalog.pg_opclass c ON c.oid = x.class
                JOIN pg_catalog.pg_attribute own ON own.attrelid = a.attrelid AND own.attnum = a.attnum
                WHERE (a.nondeterministic_collation IS NOT NULL AND x.coll <> own.attcollation)
                   OR (c.opcintype <> coalesce(nullif(t.typbasetype, '0'::pg_catalog.oid), t.oid) AND EXISTS (
                        SELECT FROM class d
                        WHERE d.method = 'btree'
                          AND d.type = coalesce(nullif(t.typbasetype, '0'::pg_catalog.oid), t.oid)))))
            ORDER BY i.indisprimary DESC, ic.relname),
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
            'referencesTable', k.confrelid::int8, 'referencesColumns', k.confkey,
            -- The equality of the referenced column and the referring one; empty if it is in `pg_catalog`.
            'operators', (
                SELECT pg_catalog.json_agg(CASE WHEN n.nspname = 'pg_catalog' THEN ''
                                                ELSE pg_catalog.format('OPERATOR(%I.%s)', n.nspname, o.oprname) END
                                           ORDER BY x.position)
                FROM pg_catalog.unnest(k.conpfeqop) WITH ORDINALITY AS x(operator, position)
                JOIN pg_catalog.pg_operator o ON o.oid = x.operator
                JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace)) ORDER BY k.conrelid, k.conname), '[]')
        FROM pg_catalog.pg_constraint k
        WHERE k.contype = 'f'
          AND k.conrelid IN (SELECT oid FROM rel) AND k.confrelid IN (SELECT oid FROM rel)
          -- A key with PERIOD (Postgres 18) refers to all rows whose ranges cover its own, so a join of equal columns
          -- finds none of them. Earlier versions lack the column.
          AND pg_catalog.to_jsonb(k) OPERATOR(pg_catalog.->>) 'conperiod'::pg_catalog.text
              IS DISTINCT FROM 'true'::pg_catalog.text
          -- Postgres repeats a reference to a partitioned table for each of its partitions.
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint p WHERE p.oid = k.conparentid
          AND p.conrelid = k.conrelid)),
    'unusableSchemas', (
        SELECT coalesce(pg_catalog.json_agg(DISTINCT n.nspname), '[]')
        FROM typ
        JOIN pg_catalog.pg_type t ON t.oid = typ.oid
        JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
        WHERE NOT pg_catalog.has_schema_privilege($1::name, n.oid, 'USAGE')),
    -- A schema `public` that was created again, and a table that was moved there, have no privileges at all, not even
    -- for their owner. Revoking a privilege leaves the others.
    'lacksPrivileges', EXISTS (
        SELECT FROM pg_catalog.pg_namespace n
        WHERE n.nspname = 'public' AND (n.nspacl IS NULL OR EXISTS (
            SELECT FROM pg_catalog.pg_class c
            WHERE c.relnamespace = n.oid AND c.relowner = n.nspowner AND c.relacl IS NULL
              AND c.relkind IN ('r', 'p', 'v', 'm', 'f'))))
)::text
