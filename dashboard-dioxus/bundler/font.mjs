// Makes a font smaller: `node font.mjs <font.woff2> <output.woff2> <common|other|all>`. Keeps the characters that the
// dashboard's texts use, in the weights that its styles use. The browser shows all other characters in system fonts.
// `common` selects the characters that nearly every page needs, `other` selects the rest, and `all` selects both.
// `style/tokens.css` lists the same ranges.
import { readFile, writeFile } from "node:fs/promises";
import subsetFont from "subset-font";

const COMMON = [
  [0x20, 0x7e], // ASCII
  [0xa0, 0xa0], [0xb7, 0xb7], [0xd7, 0xd7], // No-break space, · and ×
  [0x2009, 0x2009], [0x202f, 0x202f], // Narrow spaces
  [0x2013, 0x2014], [0x2019, 0x2019], [0x201c, 0x201d], [0x2022, 0x2022], [0x2026, 0x2026],
  [0x2190, 0x2193], [0x2212, 0x2212], // Arrows and −
];
const OTHER = [
  [0xa1, 0xb6], [0xb8, 0xd6], [0xd8, 0xff], // Latin-1
  [0x131, 0x131], [0x152, 0x153], // ı, Œ and œ
  [0x2002, 0x2008], [0x200a, 0x200a], // Spaces
  [0x2010, 0x2012], [0x2015, 0x2015], [0x2018, 0x2018], [0x201a, 0x201a], [0x201e, 0x201e], [0x2020, 0x2021],
  [0x2030, 0x2030], [0x2039, 0x203a], [0x20ac, 0x20ac], [0x2122, 0x2122], // ‰, ‹, ›, € and ™
  [0x2248, 0x2248], [0x2260, 0x2260], [0x2264, 0x2265], // ≈, ≠, ≤ and ≥
];
const RANGES = { common: COMMON, other: OTHER, all: [...COMMON, ...OTHER] };
const WEIGHTS = { min: 450, max: 550, default: 450 };
// Kerning, accents, and digits of equal width. No ligatures: `->` must stay two characters.
const FEATURES = ["kern", "ccmp", "mark", "tnum"];

const [input, output, part] = process.argv.slice(2);
const letters = RANGES[part].flatMap(([first, last]) =>
  Array.from({ length: last - first + 1 }, (_, offset) => String.fromCodePoint(first + offset)));
await writeFile(output, await subsetFont(await readFile(input), letters.join(""), {
  targetFormat: "woff2",
  keepFeatures: FEATURES,
  noHinting: true,
  variationAxes: { wght: WEIGHTS },
}));
