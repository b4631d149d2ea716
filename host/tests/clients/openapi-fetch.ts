// A round trip with openapi-fetch and the types that openapi-typescript generates: rows of a table.

import createClient from 'openapi-fetch';

import type { components, paths } from './schema';

type Row = { id: number; name: string };

const variable = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
};

const check = (condition: boolean, found: unknown): void => {
  if (!condition) throw new Error(`unexpected: ${JSON.stringify(found)}`);
};

async function main(): Promise<void> {
  const admin = createClient<paths>({
    baseUrl: variable('ADMIN_URL'),
    headers: { 'x-dev-admin-token': variable('ADMIN_TOKEN') },
  });
  const created = await admin.POST('/admin/v1/projects', { body: { name: 'openapi-fetch' } });
  if (created.data === undefined) throw new Error(created.error.error.message);
  const project: components['schemas']['Project'] = created.data.project;

  const sql = 'CREATE TABLE item (id int PRIMARY KEY, name text NOT NULL)';
  const params = { path: { project: project.id } };
  const ran = await admin.POST('/admin/v1/projects/{project}/sql', { params, body: { sql } });
  check(ran.response.status === 200, ran.error);

  const api = createClient<paths>({
    baseUrl: variable('PUBLIC_URL'),
    headers: { 'x-api-key': created.data.secretKey },
  });
  const table = { path: { table: 'item' } };
  const rows: Row[] = [{ id: 1, name: 'one' }, { id: 2, name: 'two' }];
  const inserted = await api.POST('/v1/db/{table}', { params: table, body: { rows } });
  check(inserted.response.status === 201, inserted.error);
  const listed = await api.GET('/v1/db/{table}', {
    params: { ...table, query: { select: 'id,name', order: 'id.desc', limit: 1 } },
  });
  const found = listed.data as { rows: Row[] } | undefined;
  check(found?.rows.length === 1 && found.rows[0]?.name === 'two', listed);

  const missing = await api.GET('/v1/db/{table}', { params: { path: { table: 'nothing' } } });
  check(missing.error?.error.code === 'unknown_table', missing);
  const refused = await createClient<paths>({ baseUrl: variable('PUBLIC_URL') }).GET('/v1/db/tables');
  check(refused.response.status === 401, refused);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
