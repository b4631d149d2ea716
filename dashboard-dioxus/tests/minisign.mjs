// Signs files of the tests as minisign does.

import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";

// Creates a key. `id` is written as the API writes it, `publicKey` is the line of a `.pub` file.
export function createKey() {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const keynum = randomBytes(8);
  const raw = Buffer.from(publicKey.export({ format: "jwk" }).x, "base64url");
  return {
    id: Buffer.from(keynum).reverse().toString("hex").toUpperCase(),
    publicKey: Buffer.concat([Buffer.from("Ed"), keynum, raw]).toString("base64"),
    // Returns the content of a `.minisig` file.
    sign(content) {
      const signature = sign(null, createHash("blake2b512").update(content).digest(), privateKey);
      const comment = "timestamp:0";
      const global = sign(null, Buffer.concat([signature, Buffer.from(comment)]), privateKey);
      const packet = Buffer.concat([Buffer.from("ED"), keynum, signature]).toString("base64");
      return `untrusted comment: signature\n${packet}\ntrusted comment: ${comment}\n${global.toString("base64")}\n`;
    },
  };
}
