// Checks an OpenAPI document with the recommended rules of Redocly. Prints each problem; fails if there is one.
//
//     node lint.mjs <openapi.json>

import { createConfig, lint } from '@redocly/openapi-core';

const config = await createConfig({ extends: ['recommended'] });
const problems = await lint({ ref: process.argv[2], config });
for (const problem of problems) {
  const pointer = problem.location[0]?.pointer ?? '';
  console.log(`${problem.severity} ${problem.ruleId} ${pointer}: ${problem.message}`);
}
process.exitCode = problems.length > 0 ? 1 : 0;
