// A plugin for AtlasHub. Each interface that the manifest requests can be imported like `log`.

import log from "atlashub:plugin/log@0.1.0";

async function greet({ name }) {
  log.write("info", `Greeting ${name}`, "");
  return { greeting: `Hello, ${name}!` };
}

export const job = {
  async run(context, params) {
    if (context.job !== "greet") throw { code: "invalid", message: `unknown job ${context.job}`, details: null };
    return JSON.stringify(await greet(JSON.parse(params)));
  },
};
