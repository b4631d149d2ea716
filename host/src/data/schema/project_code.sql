-- Which relations run code of the project when they are read or written. Included by `load.sql`, whose parameter $1 is
-- the role. Everything that is not known to be harmless counts as code.

-- Functions that can run SQL or change the session. Postgres's own functions count if they run a query or an input
-- function that is given as text, or if they are volatile and not listed below. All other functions count, except those
-- that AtlasHub creates in schema `auth` and those of the extensions listed below.
unsafe_function AS MATERIALIZED (
    SELECT p.oid, p.proname, p.pronamespace
    FROM pg_catalog.pg_proc p
    WHERE CASE
        WHEN p.oid < '16384'::pg_catalog.oid THEN
            p.proname::pg_catalog.text ~ '_to_xml|^pg_input_|^pg_prepared_statement$|^pg_cursor$'
            OR p.provolatile = 'v'::pg_catalog."char" AND p.proname::pg_catalog.text <> ALL (
                '{nextval,gen_random_uuid,uuidv4,uuidv7,random,random_normal,clock_timestamp,timeofday,pg_sleep,
                  pg_sleep_for,pg_sleep_until,pg_notify,pg_relation_size,pg_table_size,pg_total_relation_size,
                  tsvector_update_trigger,tsvector_update_trigger_column,suppress_redundant_updates_trigger}'
                ::pg_catalog.text[])
        ELSE NOT (
            -- The functions of `projects/lifecycle/database.rs`, unless the project has replaced them.
            p.pronamespace IN (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = 'auth')
            AND p.prolang IN (SELECT l.oid FROM pg_catalog.pg_language l WHERE l.lanname = 'sql')
            AND p.provolatile = 's'::pg_catalog."char" AND p.proconfig IS NULL AND NOT p.prosecdef
            AND pg_catalog.regexp_replace(
                p.prosrc, '\s+'::pg_catalog.text, ' '::pg_catalog.text, 'g'::pg_catalog.text) = ANY (ARRAY[
                ' SELECT NULLIF(pg_catalog.current_setting(''request.jwt.claims'', true), '''')::pg_catalog.jsonb ',
                ' SELECT (NULLIF(pg_catalog.current_setting(''request.jwt.claims'', true), '''')::pg_catalog.jsonb '
                'OPERATOR(pg_catalog.->>) ''sub'')::pg_catalog.uuid ',
                ' SELECT NULLIF(pg_catalog.current_setting(''request.jwt.claims'', true), '''')::pg_catalog.jsonb '
                'OPERATOR(pg_catalog.->>) ''role'' ']::pg_catalog.text[])
            OR p.prolang IN (SELECT l.oid FROM pg_catalog.pg_language l WHERE l.lanname IN ('c', 'internal', 'sql'))
            AND EXISTS (
                SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
                WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid AND d.objid = p.oid
                  AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass::pg_catalog.oid
                  AND (e.extname IN ('uuid-ossp', 'pgcrypto')
                       OR p.provolatile <> 'v'::pg_catalog."char" AND e.extname IN (
                           'btree_gin', 'btree_gist', 'citext', 'cube', 'earthdistance', 'fuzzystrmatch', 'hstore',
                           'intarray', 'isn', 'ltree', 'pg_trgm', 'postgis', 'seg', 'unaccent', 'vector'))))
        END
), unsafe_operator AS MATERIALIZED (
    SELECT o.oid, o.oprnamespace FROM pg_catalog.pg_operator o WHERE o.oprcode::pg_catalog.oid IN (
        SELECT f.oid FROM unsafe_function f)
), expression (classid, objid, tree) AS (
    SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass::pg_catalog.oid, r.oid,
           r.ev_qual::pg_catalog.text || r.ev_action::pg_catalog.text
    FROM pg_catalog.pg_rewrite r WHERE r.oid >= '16384'::pg_catalog.oid
    UNION ALL
    SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass::pg_catalog.oid, d.oid, d.adbin::pg_catalog.text
    FROM pg_catalog.pg_attrdef d
    UNION ALL
    SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass::pg_catalog.oid, k.oid, k.conbin::pg_catalog.text
    FROM pg_catalog.pg_constraint k WHERE k.conbin IS NOT NULL AND k.oid >= '16384'::pg_catalog.oid
    UNION ALL
    SELECT 'pg_catalog.pg_policy'::pg_catalog.regclass::pg_catalog.oid, p.oid,
           COALESCE(p.polqual::pg_catalog.text, '') || COALESCE(p.polwithcheck::pg_catalog.text, '')
    FROM pg_catalog.pg_policy p
    UNION ALL
    SELECT 'pg_catalog.pg_trigger'::pg_catalog.regclass::pg_catalog.oid, g.oid, g.tgqual::pg_catalog.text
    FROM pg_catalog.pg_trigger g WHERE g.tgqual IS NOT NULL
    UNION ALL
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, i.indexrelid,
           COALESCE(i.indexprs::pg_catalog.text, '') || COALESCE(i.indpred::pg_catalog.text, '')
    FROM pg_catalog.pg_index i WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
    UNION ALL
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, t.partrelid, t.partexprs::pg_catalog.text
    FROM pg_catalog.pg_partitioned_table t WHERE t.partexprs IS NOT NULL
    UNION ALL
    SELECT 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass::pg_catalog.oid, s.oid, s.stxexprs::pg_catalog.text
    FROM pg_catalog.pg_statistic_ext s WHERE s.stxexprs IS NOT NULL
    UNION ALL
    SELECT 'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid, t.oid, t.typdefaultbin::pg_catalog.text
    FROM pg_catalog.pg_type t WHERE t.typdefaultbin IS NOT NULL
), dependent AS MATERIALIZED (
    -- The objects that use an unsafe function or operator. Dependencies on Postgres's own functions are not recorded,
    -- so these are found in the expressions.
    SELECT d.classid, d.objid FROM pg_catalog.pg_depend d
    WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid
      AND d.refobjid IN (SELECT f.oid FROM unsafe_function f)
      OR d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass::pg_catalog.oid
      AND d.refobjid IN (SELECT o.oid FROM unsafe_operator o)
    UNION
    SELECT e.classid, e.objid FROM expression e
    WHERE EXISTS (
        SELECT FROM pg_catalog.regexp_matches(
            e.tree, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+)'::pg_catalog.text, 'g'::pg_catalog.text) AS m (ids)
        WHERE m.ids[1]::pg_catalog.oid IN (SELECT f.oid FROM unsafe_function f))
), unsafe_type (oid) AS (
    SELECT d.objid FROM dependent d WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid
    UNION
    SELECT k.contypid FROM dependent d JOIN pg_catalog.pg_constraint k ON k.oid = d.objid
    WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass::pg_catalog.oid
      AND k.contypid <> '0'::pg_catalog.oid
    UNION
    SELECT side.oid
    FROM pg_catalog.pg_cast s CROSS JOIN LATERAL (VALUES (s.castsource), (s.casttarget)) AS side (oid)
    WHERE s.castfunc IN (SELECT f.oid FROM unsafe_function f) AND side.oid >= '16384'::pg_catalog.oid
    UNION
    SELECT whole.oid
    FROM unsafe_type part CROSS JOIN LATERAL (
        SELECT t.oid FROM pg_catalog.pg_type t WHERE t.typbasetype = part.oid OR t.typelem = part.oid
        UNION ALL
        SELECT g.rngtypid FROM pg_catalog.pg_range g WHERE g.rngsubtype = part.oid
        UNION ALL
        SELECT g.rngmultitypid FROM pg_catalog.pg_range g WHERE g.rngtypid = part.oid
        UNION ALL
        SELECT c.reltype FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
        WHERE a.atttypid = part.oid AND NOT a.attisdropped AND c.reltype <> '0'::pg_catalog.oid
    ) whole
), unsafe_object AS MATERIALIZED (
    SELECT d.classid, d.objid FROM dependent d
    UNION
    SELECT d.classid, d.objid FROM pg_catalog.pg_depend d
    WHERE d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid
      AND d.refobjid IN (SELECT t.oid FROM unsafe_type t)
), runs_code (oid, kind) AS (
    -- Kinds: r when read, p when read by a role that policies apply to, w when written.
    SELECT seed.oid, seed.kind FROM (
        SELECT c.oid, 'r' FROM pg_catalog.pg_class c
        WHERE c.relkind = 'f'::pg_catalog."char" OR c.reltype IN (SELECT t.oid FROM unsafe_type t)
        UNION ALL
        -- The key of a partitioned table.
        SELECT u.objid, 'r' FROM unsafe_object u
        WHERE u.classid = 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid
        UNION ALL
        SELECT i.indrelid, 'r' FROM unsafe_object u JOIN pg_catalog.pg_index i ON i.indexrelid = u.objid
        WHERE u.classid = 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid
        UNION ALL
        SELECT s.stxrelid, 'r' FROM unsafe_object u JOIN pg_catalog.pg_statistic_ext s ON s.oid = u.objid
        WHERE u.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass::pg_catalog.oid
        UNION ALL
        SELECT k.conrelid, 'r' FROM unsafe_object u JOIN pg_catalog.pg_constraint k ON k.oid = u.objid
        WHERE u.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass::pg_catalog.oid
        UNION ALL
        SELECT d.adrelid, CASE WHEN a.attgenerated = ''::pg_catalog."char" THEN 'w' ELSE 'r' END
        FROM unsafe_object u JOIN pg_catalog.pg_attrdef d ON d.oid = u.objid
        JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
        WHERE u.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass::pg_catalog.oid
        UNION ALL
        SELECT r.ev_class, 'r' FROM unsafe_object u JOIN pg_catalog.pg_rewrite r ON r.oid = u.objid
        JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind = 'v'::pg_catalog."char"
        WHERE u.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass::pg_catalog.oid
        UNION ALL
        SELECT r.ev_class, 'w' FROM pg_catalog.pg_rewrite r
        WHERE r.oid >= '16384'::pg_catalog.oid AND r.rulename <> '_RETURN'
        UNION ALL
        SELECT g.tgrelid, 'w' FROM unsafe_object u JOIN pg_catalog.pg_trigger g ON g.oid = u.objid
        WHERE u.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass::pg_catalog.oid
        UNION ALL
        SELECT p.polrelid, 'p' FROM unsafe_object u JOIN pg_catalog.pg_policy p ON p.oid = u.objid
        WHERE u.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass::pg_catalog.oid
    ) AS seed (oid, kind)
    UNION
    SELECT next.oid, next.kind
    FROM runs_code known CROSS JOIN LATERAL (
        SELECT known.oid, 'w' WHERE known.kind = 'r'
        UNION ALL
        -- A view reads its tables, and may write them.
        SELECT r.ev_class, CASE known.kind WHEN 'w' THEN 'w' ELSE 'r' END
        FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
        JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind = 'v'::pg_catalog."char"
        WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass::pg_catalog.oid
          AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid AND d.refobjid = known.oid
          AND r.ev_class <> known.oid
        UNION ALL
        -- A policy reads the tables in its subqueries.
        SELECT p.polrelid, 'p' FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_policy p ON p.oid = d.objid
        WHERE d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass::pg_catalog.oid
          AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid AND d.refobjid = known.oid
          AND known.kind <> 'w' AND p.polrelid <> known.oid
        UNION ALL
        SELECT h.inhparent, known.kind FROM pg_catalog.pg_inherits h
        WHERE h.inhrelid = known.oid AND known.kind <> 'p'
        UNION ALL
        -- Changing a referenced row changes the rows that refer to it.
        SELECT k.confrelid, 'w' FROM pg_catalog.pg_constraint k
        WHERE k.conrelid = known.oid AND known.kind = 'w' AND k.contype = 'f'::pg_catalog."char"
          AND (k.confupdtype IN ('c', 'n', 'd') OR k.confdeltype IN ('c', 'n', 'd'))
    ) AS next (oid, kind)
), everywhere AS MATERIALIZED (
    -- The project can define functions and operators that replace those in the statements of this slice.
    SELECT EXISTS (SELECT FROM unsafe_operator o WHERE o.oprnamespace IN (
               SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = 'public'))
        OR EXISTS (SELECT FROM unsafe_function f
            JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace AND n.nspname = 'public'
            JOIN pg_catalog.pg_proc b ON b.proname = f.proname
            JOIN pg_catalog.pg_namespace m ON m.oid = b.pronamespace AND m.nspname = 'pg_catalog')
        AS run_code
), caller AS MATERIALIZED (
    SELECT COALESCE((SELECT o.rolbypassrls OR o.rolsuper FROM pg_catalog.pg_roles o WHERE o.rolname = $1::name), false)
        AS bypasses_policies
)
