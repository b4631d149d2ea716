// Postgres's SQL for Monaco: colors, brackets, comments, and completion.

import { languages } from "monaco-editor/editor.js";
import { conf, language as base } from "monaco-editor/languages/definitions/pgsql/pgsql.js";
import { completionProvider } from "./completion.js";

export const LANGUAGE = "postgresql";

// Keywords that are rarely used as names. Postgres reserves only some of them.
const STATEMENT_WORDS = `
  add alter begin by cascade cluster comment commit conflict copy cross current database declare default delete discard
  domain drop each enable disable enum escape exclude exists explain extension fetch filter first following for force
  function grant grouping groups if immutable include increment index inherit insert instead into is isolation key
  language lateral leakproof level listen local lock logged materialized matched maxvalue merge minvalue move no nothing
  notify nulls of off only option ordinality over owned owner partition policy preceding procedure publication
  query range recursive references refresh reindex release rename replace reset restart restrict return returns revoke
  rollback rollup row rows rule savepoint schema security sequence set sets show skip stable start statement storage
  strict temp temporary then ties to trigger truncate type unbounded unlogged until update using vacuum values view
  volatile when where with within without work zone`.split(/\s+/).filter(Boolean);

// Built-in types whose names are rarely used for columns.
const TYPES = `
  bigint bigserial bool boolean bytea character decimal double float float4 float8 inet int int2 int4 int8 integer
  interval json jsonb numeric precision real regclass serial smallint timestamp timestamptz tsquery tsvector uuid
  varchar varying`
  .split(/\s+/)
  .filter(Boolean);

const language = {
  ...base,
  operators: [],
  keywords: [
    ...new Set([
      ...base.keywords,
      ...base.operators,
      ...STATEMENT_WORDS.map((word) => word.toUpperCase()),
      ...TYPES.map((word) => word.toUpperCase()),
    ]),
  ],
  tokenizer: {
    ...base.tokenizer,
    root: [
      [/\$([A-Za-z_]\w*)?\$/, { token: "string", next: "@dollarQuoted.$0" }],
      [/[eE]'/, { token: "string", next: "@escapedString" }],
      ...base.tokenizer.root,
    ],
    dollarQuoted: [
      [/\$([A-Za-z_]\w*)?\$/, { cases: { "$0==$S2": { token: "string", next: "@pop" }, "@default": "string" } }],
      [/[^$]+/, "string"],
      [/\$/, "string"],
    ],
    escapedString: [
      [/\\./, "string"],
      [/''/, "string"],
      [/[^'\\]+/, "string"],
      [/'/, { token: "string", next: "@pop" }],
    ],
    // Comments may be nested in Postgres.
    comment: [
      [/\/\*/, { token: "comment.quote", next: "@push" }],
      [/\*\//, { token: "comment.quote", next: "@pop" }],
      [/[^*/]+/, "comment"],
      [/./, "comment"],
    ],
  },
};

export function registerLanguage() {
  languages.register({ id: LANGUAGE });
  languages.setMonarchTokensProvider(LANGUAGE, language);
  languages.setLanguageConfiguration(LANGUAGE, { ...conf, wordPattern: /[\p{L}_][\p{L}\p{N}_$]*/u });
  languages.registerCompletionItemProvider(LANGUAGE, completionProvider);
}
