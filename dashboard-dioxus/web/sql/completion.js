// Completes keywords, and names in the project's database.

import { languages } from "monaco-editor/editor.js";

const KEYWORDS = `
  select from where group by having order limit offset join left right full inner outer cross on using as and or not in
  is null like ilike between exists case when then else end distinct union all except intersect with recursive insert
  into values update set delete returning create table view index function trigger policy type schema alter add column
  drop constraint primary key foreign references unique check default not null if cascade truncate grant revoke explain
  analyze vacuum asc desc nulls first last over partition filter lateral materialized conflict do nothing true false
  count sum avg min max coalesce now current_date current_timestamp interval`.split(/\s+/).filter(Boolean);
const NAME = String.raw`"(?:[^"]|"")*"|[\p{L}_][\p{L}\p{N}_$]*`;
// Matches text before the cursor that ends with the name of a table or of a column, where an alias may follow.
const BEFORE_ALIAS = new RegExp(
  String.raw`(?:\b(?:from|join|update|into|table)|,)\s+(?:only\s+)?(?:(?:${NAME})\s*\.\s*)?(${NAME})\s+(?:as\s+)?$`,
  "iu",
);
// Matches text before the cursor that ends where only the name of a table can follow.
const BEFORE_TABLE = /\b(?:join|update|into|table)\s+(?:only\s+|if\s+(?:not\s+)?exists\s+)?$/iu;
// Matches the keywords that begin a part of a query.
const CLAUSE = /\b(?:select|from|where|group|order|having|window|limit|offset|set|values|returning|union|for)\b/giu;
// Number of characters before the cursor that are searched for the name of a table.
const BEFORE_CHARACTERS = 400;
// Number of characters before and after the cursor that are searched for aliases.
const SEARCHED_CHARACTERS = 20_000;

// The names in the project's database. `insert` is the text to insert; `insertBare` is the same without the schema.
// {tables: [{schema, name, insert, insertBare, kind, columns: [{name, insert, type}]}],
//  functions: [{schema, name, insert, arguments, returns}], types: [{name, insert}]}
let schema = { tables: [], functions: [], types: [] };

export function setCompletionSchema(value) {
  schema = value;
}

export const completionProvider = {
  triggerCharacters: ["."],
  provideCompletionItems(model, position) {
    const word = model.getWordUntilPosition(position);
    const range = {
      startLineNumber: position.lineNumber,
      endLineNumber: position.lineNumber,
      startColumn: word.startColumn,
      endColumn: word.endColumn,
    };
    const offset = model.getOffsetAt(position);
    // Only the text around the cursor is searched, so that a long script does not slow down typing.
    const start = Math.max(0, offset - SEARCHED_CHARACTERS);
    const text = model.getValue().slice(start, offset + SEARCHED_CHARACTERS);
    const qualifier = /("(?:[^"]|"")*"|[\p{L}_][\p{L}\p{N}_$]*)\s*\.\s*[\p{L}\p{N}_$]*$/u.exec(
      text.slice(0, offset - start),
    )?.[1];
    const items = qualifier
      ? ofQualifier(plain(qualifier), statementAround(text, offset - start))
      : unqualified(text, offset - start, word.word.length);
    return { suggestions: items.map((item) => ({ ...item, range })) };
  },
};

// Returns the items at a position without a qualifier. `typed` is the number of characters of the word that are typed.
function unqualified(text, position, typed) {
  const wordStart = position - typed;
  const name = BEFORE_ALIAS.exec(text.slice(Math.max(0, wordStart - BEFORE_CHARACTERS), wordStart))?.[1];
  // After a name, the word is an alias, a keyword, or the type of a new column.
  if (name && ![...KEYWORDS, "only", "of"].includes(name.toLowerCase())) return [...keywordItems(), ...typeItems()];
  const before = text.slice(text.lastIndexOf(";", wordStart - 1) + 1, wordStart);
  const { level, isNested } = innermostLevel(before);
  if (BEFORE_TABLE.test(level) || isInFrom(level, isNested)) {
    return [...tableItems(), ...functionItems(), ...keywordItems()];
  }
  return everything(statementAround(text, position));
}

// Returns the text since the innermost parenthesis that is still open, without the content of closed parentheses.
function innermostLevel(before) {
  let level = "";
  let depth = 0;
  for (let index = before.length - 1; index >= 0; index -= 1) {
    const character = before[index];
    if (character === "(" && depth === 0) return { level, isNested: true };
    if (character === "(") depth -= 1;
    if (depth === 0) level = character + level;
    if (character === ")") depth += 1;
  }
  return { level, isNested: false };
}

// Returns whether a table follows: after FROM, or after a comma in the list after FROM. In parentheses without a query,
// FROM belongs to a function, as in `extract(year from day)`.
function isInFrom(level, isNested) {
  if (isNested && !/\b(?:select|delete)\b/iu.test(level)) return false;
  const last = [...level.matchAll(CLAUSE)].at(-1);
  if (last?.[0].toLowerCase() !== "from") return false;
  if (/\bis\s+(?:not\s+)?distinct\s+$/iu.test(level.slice(0, last.index))) return false;
  return /^\s+(?:only\s+)?$|,\s*(?:only\s+)?$/iu.test(level.slice(last.index + "from".length));
}

function ofQualifier(name, statement) {
  const inSchema = schema.tables.filter((table) => table.schema === name);
  if (inSchema.length > 0) {
    const functions = schema.functions.filter((each) => each.schema === name);
    return [
      ...inSchema.map((table) => tableItem(table, "1", table.insertBare)),
      ...functions.map((each) => functionItem(each, "2")),
    ];
  }
  const target = aliases(statement).get(name) ?? name;
  return schema.tables
    .filter((table) => table.name === target)
    .flatMap((table) => table.columns.map((column) => columnItem(table, column, "1")));
}

function everything(statement) {
  const mentioned = new Set([...aliases(statement).values()]);
  const columns = schema.tables
    .filter((table) => mentioned.has(table.name))
    .flatMap((table) => table.columns.map((column) => columnItem(table, column, "1")));
  return [
    ...columns,
    ...tableItems(),
    ...functionItems(),
    ...typeItems(),
    ...keywordItems(),
  ];
}

function tableItems() {
  return schema.tables.map((table) => tableItem(table, "2", table.insert));
}

function functionItems() {
  return schema.functions.map((each) => functionItem(each, "4"));
}

function keywordItems() {
  return KEYWORDS.map((word) => ({
    label: word,
    insertText: word,
    kind: languages.CompletionItemKind.Keyword,
    sortText: `3${word}`,
  }));
}

function typeItems() {
  return schema.types.map((type) => ({
    label: type.name,
    insertText: type.insert,
    kind: languages.CompletionItemKind.Enum,
    detail: "enum",
    sortText: `5${type.name}`,
  }));
}

// Returns the tables that the statement names, by their names and their aliases.
function aliases(statement) {
  const found = new Map();
  const pattern =
    /(?:\b(?:from|join|update|into|table)\s+|,\s*)(?:only\s+)?(?:("(?:[^"]|"")*"|[\p{L}_][\p{L}\p{N}_$]*)\s*\.\s*)?("(?:[^"]|"")*"|[\p{L}_][\p{L}\p{N}_$]*)(?:\s+(?:as\s+)?(?!(?:from|join|update|into|table)\b)("(?:[^"]|"")*"|[\p{L}_][\p{L}\p{N}_$]*))?/giu;
  for (const [whole, , table, alias] of statement.matchAll(pattern)) {
    // After a comma there may be a column instead of a table.
    if (whole.startsWith(",") && !schema.tables.some(({ name }) => name === plain(table))) continue;
    found.set(plain(table), plain(table));
    if (alias && !KEYWORDS.includes(alias.toLowerCase())) found.set(plain(alias), plain(table));
  }
  return found;
}

function statementAround(text, offset) {
  const start = text.lastIndexOf(";", Math.max(0, offset - 1)) + 1;
  const end = text.indexOf(";", offset);
  return text.slice(start, end < 0 ? undefined : end);
}

function plain(identifier) {
  return identifier.startsWith('"') ? identifier.slice(1, -1).replaceAll('""', '"') : identifier.toLowerCase();
}

function tableItem(table, group, insertText) {
  const kind = table.kind === "table" ? languages.CompletionItemKind.Struct : languages.CompletionItemKind.Interface;
  return { label: table.name, insertText, kind, detail: `${table.schema} ${table.kind}`, sortText: group + table.name };
}

function columnItem(table, column, group) {
  return {
    label: { label: column.name, description: table.name },
    insertText: column.insert,
    kind: languages.CompletionItemKind.Field,
    detail: column.type,
    sortText: group + column.name,
  };
}

function functionItem(each, group) {
  return {
    label: { label: each.name, detail: `(${each.arguments})` },
    insertText: each.insert,
    kind: languages.CompletionItemKind.Function,
    detail: each.returns,
    sortText: group + each.name,
  };
}
