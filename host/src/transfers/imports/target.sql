SELECT json_build_object(
    'quoted', format('%I.%I', n.nspname, c.relname),
    'kind', c.relkind,
    'columns', coalesce((
        SELECT json_agg(json_build_object(
            'name', a.attname,
            'type', format_type(a.atttypid, a.atttypmod),
            'category', t.typcategory,
            'isJson', 'json'::regtype = ANY (base.oids) OR 'jsonb'::regtype = ANY (base.oids),
            'isHstore', EXISTS (
                SELECT FROM pg_type b JOIN pg_cast k ON k.castsource = b.oid AND k.casttarget = 'json'::regtype
                WHERE b.oid = ANY (base.oids) AND b.typname = 'hstore' AND b.typtype = 'b'),
            'isExact', t.typtype = 'e' OR (
                '{bool,bytea,date,int2,int4,int8,macaddr,name,oid,text,time,timestamp,timestamptz,uuid,varchar}'
                    ::regtype[]::oid[] && base.oids
                AND coalesce((SELECT k.collisdeterministic FROM pg_collation k WHERE k.oid = a.attcollation), true)),
            'isGenerated', a.attgenerated <> '',
            'isAlwaysIdentity', a.attidentity = 'a',
            'default', CASE
                WHEN a.attidentity <> '' THEN format('nextval(%L::regclass)',
                    pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname))
                WHEN a.attgenerated = '' THEN coalesce(pg_get_expr(d.adbin, d.adrelid), t.typdefault) END,
            'sequence', pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname)
        ) ORDER BY a.attnum)
        FROM pg_attribute a
        JOIN pg_type t ON t.oid = a.atttypid
        -- The type and, if it is a domain, the types below it. A domain can be based on another domain.
        CROSS JOIN LATERAL (
            WITH RECURSIVE below (oid) AS (
                SELECT t.oid
                UNION ALL
                SELECT d.typbasetype FROM below JOIN pg_type d ON d.oid = below.oid WHERE d.typbasetype <> 0)
            SELECT array_agg(oid) AS oids FROM below) base
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]'),
    'keys', coalesce((
        SELECT json_agg(json_build_object(
            'columns', (
                SELECT json_agg(a.attname ORDER BY k.position)
                FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k (attnum, position)
                JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum),
            'equalities', (
                SELECT json_agg(format('OPERATOR(%I.%s)', s.nspname, o.oprname) ORDER BY k.position)
                FROM unnest((i.indclass::oid[])[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k (opclass, position)
                JOIN pg_opclass p ON p.oid = k.opclass
                JOIN pg_amop m ON m.amopfamily = p.opcfamily AND m.amopstrategy = 3
                    AND m.amoplefttype = p.opcintype AND m.amoprighttype = p.opcintype
                JOIN pg_operator o ON o.oid = m.amopopr
                JOIN pg_namespace s ON s.oid = o.oprnamespace),
            'isPrimary', i.indisprimary,
            'nullsAreEqual', i.indnullsnotdistinct
        ) ORDER BY i.indisprimary DESC, i.indexrelid)
        FROM pg_index i
        WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
          AND i.indpred IS NULL AND i.indexprs IS NULL), '[]')
)::text
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relname = $1::text AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
