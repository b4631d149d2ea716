// A round trip with the client that @hey-api/openapi-ts generates: files, and a job.

import { createClient, createConfig } from './client/client';
import {
  createBucket,
  createJob,
  createProject,
  listBucketObjects,
  listJobs,
  listObjects,
  previewCron,
  signDownload,
  signUpload,
} from './client';

const variable = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
};

const check = (condition: boolean, found: unknown): void => {
  if (!condition) throw new Error(`unexpected: ${JSON.stringify(found)}`);
};

async function main(): Promise<void> {
  const admin = createClient(
    createConfig({
      baseUrl: variable('ADMIN_URL'),
      auth: ({ name }) => (name === 'x-dev-admin-token' ? variable('ADMIN_TOKEN') : undefined),
    }),
  );
  const created = await createProject({ client: admin, body: { name: 'hey-api' }, throwOnError: true });
  const { project, secretKey } = created.data;
  const bucket = { name: 'notes' };
  await createBucket({ client: admin, path: { project: project.id }, body: bucket, throwOnError: true });

  const api = createClient(
    createConfig({
      baseUrl: variable('PUBLIC_URL'),
      auth: ({ name }) => (name === 'x-api-key' ? secretKey : undefined),
    }),
  );
  const upload = { bucket: bucket.name, path: 'a.txt', contentType: 'text/plain', size: 5 };
  const signed = await signUpload({ client: api, body: upload, throwOnError: true });
  const { uploadUrl, method, headers, objectKey } = signed.data;
  const put = await fetch(uploadUrl, { method, headers, body: 'hello' });
  check(put.ok, put.status);
  const query = { bucket: bucket.name };
  const listed = await listObjects({ client: api, query, throwOnError: true });
  check(listed.data.items.length === 1, listed.data);
  const owned = await listBucketObjects({
    client: admin,
    path: { project: project.id, bucket: bucket.name },
    throwOnError: true,
  });
  check(owned.data.items.length === 1, owned.data);
  const download = await signDownload({ client: api, query: { objectKey }, throwOnError: true });
  const text = await (await fetch(download.data.downloadUrl)).text();
  check(text === 'hello', text);

  const schedule = { scheduleCron: '0 3 * * MON', timezone: 'Europe/Berlin' };
  const preview = await previewCron({ client: admin, body: { ...schedule, count: 2 }, throwOnError: true });
  check(preview.data.next.length === 2, preview.data);
  const job = await createJob({
    client: admin,
    body: { ...schedule, name: 'Status', type: 'platform', plugin: 'migrations', pluginJob: 'status' },
    throwOnError: true,
  });
  const jobs = await listJobs({ client: admin, throwOnError: true });
  check(jobs.data.items.some(({ id }) => id === job.data.id), jobs.data);
  const refused = await createJob({ client: admin, body: { ...schedule, name: '', type: 'http' } });
  check(refused.error?.error.code === 'invalid_request', refused.error);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
