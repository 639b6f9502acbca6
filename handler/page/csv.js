// CSV as RFC 4180 and the server read it: quoted cells, doubled quotes, any line end; tabs or semicolons when pasted so.

import { fault, read } from "./features.js";

// Cells by line, blank lines left out. Throws an Error that says where the text is no CSV.
export function parse(text, delimiter = ",") {
  const rows = [];
  let row = [];
  let cell = "";
  let state = "start"; // of a cell; then plain, quoted, or closed (a quote within a quoted cell)
  let line = 1;
  let begun = 1;
  const source = text.replace(/^\uFEFF/, "");
  const endCell = () => {
    row.push(cell);
    cell = "";
    state = "start";
  };
  const endRow = () => {
    if (state !== "start" || row.length) {
      endCell();
      rows.push({ line: begun, cells: row });
    }
    row = [];
    line += 1;
    begun = line;
  };
  for (let i = 0; i < source.length; i += 1) {
    const c = source[i];
    if (state === "quoted") {
      if (c === '"') state = "closed";
      else {
        if (c === "\n") line += 1;
        cell += c;
      }
    } else if (c === "\n" || c === "\r") {
      if (c === "\r" && source[i + 1] === "\n") i += 1;
      endRow();
    } else if (c === delimiter) endCell();
    else if (c === '"' && state === "start") state = "quoted";
    else if (c === '"' && state === "closed") {
      cell += c;
      state = "quoted";
    } else if (state === "closed") throw new Error(`line ${line}: expected a delimiter after a closing quote`);
    else {
      cell += c;
      state = "plain";
    }
  }
  if (state === "quoted") throw new Error(`line ${begun}: a quote is not closed`);
  endRow();
  return rows;
}

export function delimiter(text) {
  const first = text.trimStart().split(/[\r\n]/, 1)[0];
  return first.includes(",") ? "," : ["\t", ";"].find((c) => first.includes(c)) ?? ",";
}

// A text as rows of values, each with its faults; `problem` when the file as a whole cannot be used.
export function rows(text, features) {
  let lines;
  try {
    lines = parse(text, delimiter(text));
  } catch (error) {
    return { problem: error.message };
  }
  if (!lines.length) return { problem: "there is nothing in it" };
  const names = features.map((feature) => feature.name);
  let header = lines[0].cells.map((cell) => cell.trim());
  const bare = header.length === names.length && !header.some((name) => names.includes(name));
  if (bare) header = names;
  const missing = names.filter((name) => !header.includes(name));
  const twice = names.filter((name) => header.indexOf(name) !== header.lastIndexOf(name));
  if (missing.length) return { problem: `missing ${missing.length > 1 ? "columns" : "column"}: ${missing.join(", ")}` };
  if (twice.length) return { problem: `appears twice: ${twice.join(", ")}` };
  const columns = features.map((feature) => header.indexOf(feature.name));
  return {
    header, bare,
    extra: header.filter((name) => !names.includes(name)),
    rows: lines.slice(bare ? 0 : 1).map((line) => valued(line, header, features, columns)),
  };
}

function valued({ line, cells }, header, features, columns) {
  if (cells.length !== header.length) {
    return { line, cells, faults: [{ name: null, detail: `expected ${header.length} cells, got ${cells.length}` }] };
  }
  const values = {};
  const faults = [];
  features.forEach((feature, i) => {
    values[feature.name] = read(cells[columns[i]], feature);
    const detail = fault(values[feature.name], feature);
    if (detail) faults.push({ name: feature.name, detail });
  });
  return { line, cells, values, faults };
}

const quote = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
export const write = (lines) => lines.map((line) => line.map((cell) => quote(String(cell ?? ""))).join(",")).join("\r\n") + "\r\n";
