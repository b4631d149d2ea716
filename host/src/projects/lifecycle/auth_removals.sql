-- Returns statements that remove everything attached to the tables $1 of schema `auth`, such as triggers, policies and
-- defaults, and all privileges on the tables and the schema. Foreign keys of the project's tables that refer to the
-- table $2 are kept. The statements contain only the quoted names of objects.
WITH t AS (
    SELECT c.oid, c.relname, c.relowner, c.relacl, c.relnamespace
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'auth' AND c.relname = ANY($1)
),
grants (kind, name, acl) AS (
    SELECT 'TABLE', pg_catalog.format('auth.%I', relname), relacl FROM t
    UNION ALL
    SELECT 'TABLE', pg_catalog.format('auth.%I', t.relname), a.attacl
    FROM t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid
    UNION ALL
    SELECT 'SCHEMA', 'auth', nspacl FROM pg_catalog.pg_namespace WHERE nspname = 'auth'
),
statements (step, statement) AS (
    SELECT 1, pg_catalog.format('DROP RULE %I ON auth.%I CASCADE', r.rulename, t.relname)
    FROM t JOIN pg_catalog.pg_rewrite r ON r.ev_class = t.oid
    UNION ALL
    SELECT 1, pg_catalog.format('DROP TRIGGER %I ON auth.%I CASCADE', g.tgname, t.relname)
    FROM t JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.oid
    WHERE NOT g.tgisinternal
    UNION ALL
    SELECT 1, pg_catalog.format('DROP POLICY %I ON auth.%I', p.polname, t.relname)
    FROM t JOIN pg_catalog.pg_policy p ON p.polrelid = t.oid
    UNION ALL
    SELECT 1, pg_catalog.format('ALTER TABLE auth.%I NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY', relname)
    FROM t
    UNION ALL
    SELECT 1, pg_catalog.format('DROP STATISTICS %I.%I', n.nspname, s.stxname)
    FROM t JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = t.oid
    JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace
    -- Check and exclusion constraints, and foreign keys between these tables and others.
    UNION ALL
    SELECT 2, pg_catalog.format('ALTER TABLE %I.%I DROP CONSTRAINT %I', n.nspname, c.relname, k.conname)
    FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE k.conparentid = 0
      AND (k.conrelid IN (SELECT oid FROM t) AND k.contype IN ('c', 'x')
           OR k.contype = 'f' AND (
               k.conrelid IN (SELECT oid FROM t) AND k.confrelid NOT IN (SELECT oid FROM t)
               OR k.conrelid NOT IN (SELECT oid FROM t)
                  AND k.confrelid IN (SELECT oid FROM t WHERE relname <> $2)))
    UNION ALL
    SELECT 2, pg_catalog.format('ALTER TABLE auth.%I ALTER COLUMN %I DROP DEFAULT', t.relname, a.attname)
    FROM t JOIN pg_catalog.pg_attrdef d ON d.adrelid = t.oid
    JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.adnum
    -- Indexes that do not belong to a constraint.
    UNION ALL
    SELECT 3, pg_catalog.format('DROP INDEX auth.%I', i.relname)
    FROM t JOIN pg_catalog.pg_index x ON x.indrelid = t.oid JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = x.indexrelid)
    UNION ALL
    SELECT DISTINCT 4, pg_catalog.format('REVOKE ALL ON %s %s FROM %s CASCADE', g.kind, g.name,
                                         CASE e.grantee WHEN 0 THEN 'PUBLIC'
                                         ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(e.grantee)) END)
    FROM grants g CROSS JOIN LATERAL pg_catalog.aclexplode(g.acl) e
    WHERE e.grantee = 0 OR pg_catalog.pg_get_userbyid(e.grantee) NOT LIKE 'unknown (OID=%)'
)
SELECT statement FROM statements ORDER BY step, statement
