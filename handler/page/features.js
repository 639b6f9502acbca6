// What a feature takes, in the server's own rules and words (model/faults.py, model/codec/csv_rows.py), and how to write it.

const LIMIT = 3.4e38;
const LISTED = 20;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const NOT_FINITE = /^[+-]?(nan|inf|infinity)$/i;

const known = (feature) => feature.categories ?? [];
export const isNumeric = (feature) => feature.kind === "number" || feature.kind === "integer";

// The type of a category column's values: that of its categories, strings when it lists none.
function typeOf(feature) {
  const categories = known(feature);
  if (!categories.length || categories.some((c) => typeof c === "string")) return "string";
  return categories.every((c) => typeof c === "boolean") ? "boolean" : "number";
}

function fits(value, feature) {
  switch (feature.kind) {
    case "number": return typeof value === "number";
    case "integer": return Number.isInteger(value);
    case "boolean": return typeof value === "boolean";
    case "text": return typeof value === "string";
    default: return typeof value === typeOf(feature)
      && (feature.open || feature.categories === null || known(feature).includes(value));
  }
}

export function expected(feature) {
  let words = { integer: "an integer", boolean: "true or false", text: "a string" }[feature.kind] ?? "a number";
  if (feature.kind === "category") {
    const listed = known(feature).map((c) => JSON.stringify(c));
    const more = listed.length > LISTED ? ` and ${listed.length - LISTED} more` : "";
    if (listed.length && !feature.open) words = `one of ${listed.slice(0, LISTED).join(", ")}${more}`;
    else if (typeOf(feature) === "string") words = "a string";
  }
  return feature.nullable ? `${words} or null` : words;
}

// What is wrong with a value, in the words of the server's problem document, or null.
export function fault(value, feature) {
  if (value === null) return feature.nullable ? null : `expected ${expected(feature)}, got null`;
  if (typeof value === "number" && !Number.isFinite(value)) return "expected a finite number";
  if (typeof value === "number" && Math.abs(value) > LIMIT) return "expected a number within ±3.4e+38";
  if (fits(value, feature)) return null;
  const got = { boolean: "a boolean", number: "a number", string: "a string" }[typeof value];
  return `expected ${expected(feature)}, got ${["category", "integer"].includes(feature.kind) ? "another value" : got}`;
}

function readNumber(text) {
  const cell = text.trim();
  if (cell === "" || cell === "NA") return null;
  if (NOT_FINITE.test(cell)) return NaN;
  return NUMBER.test(cell) ? Number(cell) : cell;
}

const BOOLEANS = new Map([["", null], ["true", true], ["false", false], ["1", true], ["0", false]]);

function readBoolean(text) {
  const cell = text.trim().toLowerCase();
  return BOOLEANS.has(cell) ? BOOLEANS.get(cell) : text;
}

// A cell of a CSV file, or what was typed, as a value; what cannot be read stays a string, which `fault` refuses.
export function read(text, feature) {
  if (feature.kind === "text") return text;
  const type = feature.kind === "category" ? typeOf(feature) : feature.kind;
  if (type === "boolean") return readBoolean(text);
  if (type === "string") return text === "" ? null : text;
  return readNumber(text);
}

export const outside = (value, feature) =>
  typeof value === "number" && feature.range != null && (value < feature.range[0] || value > feature.range[1]);

export function title(name) {
  const words = name.replaceAll("_", " ").trim();
  return words ? words[0].toUpperCase() + words.slice(1) : name;
}

// The few values of a feature as [value, word], or null when it takes too many to list.
export function choices(feature) {
  const word = (value, i) => feature.labels?.[i] ?? { true: "yes", false: "no" }[value] ?? String(value);
  const flags = feature.kind === "integer" && (feature.labels || (feature.range?.[0] === 0 && feature.range?.[1] === 1));
  if (feature.kind === "boolean") return [false, true].map((v, i) => [v, word(v, i)]);
  if (flags) return (feature.labels ?? [0, 1]).map((_, i) => [i, word(i, i)]);
  if (feature.kind === "category" && !feature.open && known(feature).length) return feature.categories.map((v, i) => [v, word(v, i)]);
  return null;
}

// A step that a person would choose: about fifty of them over the seen range.
export function step(feature) {
  const [low, high] = feature.range;
  const power = Math.max(10 ** Math.round(Math.log10((high - low) / 50 || 1)), 1e-9);
  return feature.kind === "integer" ? Math.max(1, Math.round(power)) : power;
}

export function number(value, digits = 4) {
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (size && (size >= 1e9 || size < 1e-4)) return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  return value.toLocaleString("en", { maximumSignificantDigits: Math.max(digits, Math.floor(Math.log10(size || 1)) + 1) });
}

// How to write a column of numbers: with the decimals that the typical one of them has, so that their points stand in line.
export function aligned(values) {
  const sizes = values.filter((value) => typeof value === "number" && value !== 0).map(Math.abs).sort((a, b) => a - b);
  const typical = sizes[sizes.length >> 1] ?? 1;
  const decimals = Math.max(0, 3 - Math.floor(Math.log10(typical)));
  const least = 0.5 * 10 ** -decimals;
  return (value) => (decimals > 6 || typical >= 1e9 || (value !== 0 && Math.abs(value) < least) ? number(value)
    : value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }));
}

export const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
export const range = (feature) => (feature.range ? `${number(feature.range[0], 3)} – ${number(feature.range[1], 3)}` : "");
export const word = (value, feature) =>
  value === null ? "unknown" : choices(feature)?.find(([v]) => v === value)?.[1] ?? number(value);
