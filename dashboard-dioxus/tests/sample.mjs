// A shop with customers and orders, files, jobs and backups, for the screenshots of docs/DASHBOARD.md.

import assert from "node:assert/strict";
import { startEndpoint } from "./endpoint.mjs";
import { admin, eventually } from "./support.mjs";

const SCHEMA = [
  "create type order_status as enum ('open', 'paid', 'shipped', 'returned')",
  `create table customers (
     id bigint generated always as identity primary key, name text not null, email text not null unique,
     country char(2) not null, created_at timestamptz not null default now())`,
  `create table products (
     id bigint generated always as identity primary key, name text not null, price numeric(10, 2) not null,
     stock int not null, tags text[] not null default '{}')`,
  `create table orders (
     id bigint generated always as identity primary key, customer_id bigint not null references customers,
     status order_status not null, total numeric(10, 2) not null, note text, placed_at timestamptz not null)`,
  "create index orders_of_customer on orders (customer_id)",
  `create table order_items (
     order_id bigint not null references orders on delete cascade, product_id bigint not null references products,
     quantity int not null, primary key (order_id, product_id))`,
  "comment on table orders is 'One row for each order, also for those that are not paid.'",
  `insert into customers (name, email, country, created_at)
   select first || ' ' || last, lower(first || '.' || last) || '@example.com',
     (array['DE', 'AT', 'CH', 'NL'])[1 + (a * 5 + b) % 4],
     timestamptz '2026-01-04 09:30+00' + (a * 12 + b) * interval '37 hours'
   from unnest(array['Ada', 'Bruno', 'Clara', 'Dilan', 'Emil', 'Frida', 'Hugo', 'Ines', 'Jonas', 'Lena', 'Milan',
       'Noor']) with ordinality f(first, a),
     unnest(array['Albrecht', 'Berger', 'Carlsen', 'Duarte', 'Engel', 'Fischer', 'Haas', 'Ivanova', 'Jansen',
       'Keller', 'Lang', 'Moreau']) with ordinality l(last, b)`,
  `insert into products (name, price, stock, tags)
   select colour || ' ' || thing, 8 + a * 3.5 + b, (a * 17 + b * 29) % 120, array[lower(thing), 'stoneware']
   from unnest(array['Mug', 'Bowl', 'Plate', 'Teapot', 'Vase', 'Pitcher']) with ordinality t(thing, a),
     unnest(array['White', 'Slate', 'Moss', 'Ochre']) with ordinality c(colour, b)`,
  `insert into orders (customer_id, status, total, note, placed_at)
   select 1 + (n * 31) % 144,
     (array['shipped', 'shipped', 'paid', 'shipped', 'open', 'shipped', 'returned'])[1 + n % 7]::order_status,
     12 + (n * 7919) % 24000 / 100.0,
     case when n % 9 = 0 then 'Leave it with the neighbours' when n % 13 = 0 then 'Gift wrapping' end,
     timestamptz '2026-03-02 07:12+00' + n * interval '11 hours 23 minutes'
   from generate_series(1, 480) n`,
  `insert into order_items
   select o.id, 1 + (o.id * 5 + i * 7) % 24, 1 + (o.id + i) % 3 from orders o, generate_series(1, 3) i
   on conflict do nothing`,
  "analyze",
];

const COLOURS = { "mug-white": "#f7f5f0", "mug-slate": "#4a5560", "mug-moss": "#6b7f4e", "mug-ochre": "#c48a2c" };

const picture = (colour) => `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 90">
  <rect width="120" height="90" fill="#e9e4da"/>
  <path d="M38 28h38v30a8 8 0 0 1-8 8H46a8 8 0 0 1-8-8z" fill="${colour}"/>
  <path d="M76 34h6a7 7 0 0 1 0 20h-6" fill="none" stroke="${colour}" stroke-width="5"/>
</svg>`;

export const QUERY = `select to_char(placed_at, 'YYYY-MM') as month, count(*) as orders, sum(total) as revenue,
  round(avg(total), 2) as average, count(*) filter (where status = 'returned') as returned
from orders
group by month
order by month desc`;

const runs = (job) => admin("GET", `/runs?jobId=${job}&active=true`);

// Runs a job a number of times, one after another.
async function run(job, times = 1) {
  for (let n = 0; n < times; n += 1) {
    await admin("POST", `/jobs/${job.id}/run`, {});
    await eventually(async () => (await runs(job.id)).items.length === 0, `the end of ${job.name}`);
  }
}

async function upload(project, bucket, path, content, contentType) {
  const object = { path, contentType, size: Buffer.byteLength(content) };
  const signed = await admin("POST", `/projects/${project}/buckets/${bucket}/signed-upload`, object);
  const response = await fetch(signed.uploadUrl, { method: "PUT", body: content, headers: signed.headers });
  assert.ok(response.ok, await response.text());
}

// Creates the shop. Returns the id of the project, of a saved query, and of a run of the nightly backup.
export async function createShop(t) {
  // The resources to delete afterwards, in reverse order.
  const created = [];
  t.after(async () => {
    for (const [path, body] of created.toReversed()) await admin("DELETE", path, body);
  });
  const { project } = await admin("POST", "/projects", { name: "shop" });
  created.push([`/projects/${project.id}`, { confirm: project.name }]);
  const { id } = project;
  for (const sql of SCHEMA) await admin("POST", `/projects/${id}/sql`, { sql });
  await admin("PUT", `/projects/${id}/tables/products/exposure`, { publishable: "read" });
  await admin("POST", `/projects/${id}/keys`, { type: "publishable", name: "web shop" });
  await admin("POST", `/projects/${id}/keys`, { type: "secret", name: "ci" });
  const query = await admin("POST", `/projects/${id}/queries`, { name: "Revenue by month", sql: QUERY });
  for (const bucket of ["product-images", "invoices"]) await admin("POST", `/projects/${id}/buckets`, { name: bucket });
  for (const [name, colour] of Object.entries(COLOURS)) {
    await upload(id, "product-images", `mugs/${name}.svg`, picture(colour), "image/svg+xml");
  }
  await upload(id, "product-images", "catalogue.csv", "name,price\nWhite Mug,12.50\nSlate Mug,13.50\n", "text/csv");
  const [up, down] = [await startEndpoint({ immediately: 204 }), await startEndpoint({ immediately: 503 })];
  const channel = await admin("POST", "/notifications", {
    name: "Ops", kind: "webhook", url: up.url, secret: "a-secret-of-the-sample",
    events: ["runFailed", "backupFailed", "diskLow", "pluginRejected"],
  });
  created.push([`/notifications/${channel.id}`]);
  await admin("POST", `/notifications/${channel.id}/test`, {});
  const createJob = async (name, fields) => {
    const job = await admin("POST", "/jobs", { name, timezone: "Europe/Berlin", ...fields });
    created.push([`/jobs/${job.id}`]);
    return job;
  };
  const http = { type: "http", projectId: id, httpMethod: "POST" };
  const backup = (pluginJob, scheduleCron, params) =>
    ({ type: "platform", plugin: "backup", pluginJob, scheduleCron, params });
  const stock = await createJob("Sync stock", { ...http, httpUrl: up.url, scheduleCron: "*/15 6-20 * * *" });
  const newsletter = await createJob("Send newsletter", { ...http, httpUrl: down.url, scheduleCron: "0 9 * * 1" });
  const all = { target: "all", retention: { keepLast: 7, weekly: 4, monthly: 12 } };
  const nightly = await createJob("Nightly backup", backup("backup", "0 2 * * *", all));
  const verify = await createJob("Verify backups", backup("verify", "0 4 * * 0", { target: "platform" }));
  await createJob("Clean up", { ...backup("cleanup", "30 3 * * *", {}), plugin: "cleanup" });
  await run(stock, 14);
  await run(nightly, 2);
  await run(verify);
  await run(nightly);
  await run(newsletter);
  const latest = (await admin("GET", `/runs?jobId=${nightly.id}&limit=1`)).items[0];
  return { id, query: query.id, run: latest.id };
}
