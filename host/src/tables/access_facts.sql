-- The facts that decide who can reach rows of tables and views in schema `public`: a JSON array, parsed by `access.rs`.
-- `$1`: a table's name, or null for all that publishable keys or signed-in users have a privilege on
-- `$2`, `$3`, `$4`: the roles of publishable keys, of signed-in users and of the secret key
WITH caller (name, role, position) AS (
    VALUES ('secretKey', $4::name, 1), ('publishable', $2::name, 2), ('signedIn', $3::name, 3)
)
SELECT coalesce(json_agg(json_build_object(
    'name', c.relname,
    'kind', CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized_view' WHEN 'f' THEN 'foreign_table'
                           ELSE 'table' END,
    'rowLevelSecurity', c.relrowsecurity,
    'securityInvoker', coalesce((
        SELECT o.option_value::boolean FROM pg_options_to_table(c.reloptions) o
        WHERE o.option_name = 'security_invoker'), false),
    'privileges', (
        SELECT json_agg(json_build_object(
            'caller', r.name,
            'bypassesPolicies', (SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = r.role),
            'select', has_any_column_privilege(r.role, c.oid, 'SELECT'),
            'insert', has_any_column_privilege(r.role, c.oid, 'INSERT'),
            'update', has_any_column_privilege(r.role, c.oid, 'UPDATE'),
            'delete', has_table_privilege(r.role, c.oid, 'DELETE')) ORDER BY r.position)
        FROM caller r),
    'policies', (
        SELECT coalesce(json_agg(json_build_object(
            'name', p.polname,
            'command', CASE p.polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update'
                                     WHEN 'd' THEN 'delete' ELSE 'all' END,
            'permissive', p.polpermissive,
            'roles', (SELECT json_agg(CASE o.oid WHEN 0 THEN 'public' ELSE pg_get_userbyid(o.oid)::text END)
                      FROM unnest(p.polroles) AS o (oid)),
            'callers', (
                SELECT coalesce(json_agg(r.name ORDER BY r.position), '[]'::json) FROM caller r
                WHERE EXISTS (SELECT FROM unnest(p.polroles) AS o (oid)
                              WHERE CASE o.oid WHEN 0 THEN true ELSE pg_has_role(r.role, o.oid, 'USAGE') END)),
            'using', pg_get_expr(p.polqual, p.polrelid),
            'check', pg_get_expr(p.polwithcheck, p.polrelid)) ORDER BY p.polname), '[]'::json)
        FROM pg_policy p WHERE p.polrelid = c.oid)
    ) ORDER BY c.relname), '[]'::json)::text
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND CASE WHEN $1::text IS NOT NULL THEN c.relname = $1 ELSE EXISTS (
      SELECT FROM caller r WHERE r.name <> 'secretKey' AND (
          has_any_column_privilege(r.role, c.oid, 'SELECT, INSERT, UPDATE')
          OR has_table_privilege(r.role, c.oid, 'DELETE'))) END
