// The model's card: what it is, what it was made from, how good it was, and the proof of what is served.

import { h } from "./dom.js";
import { choices, number, range } from "./features.js";

const SPELLED = { r2: "R²", mse: "MSE", rmse: "RMSE", mae: "MAE", auc: "AUC", roc_auc: "ROC AUC", f1: "F1" };
const spelled = (name) => SPELLED[name] ?? name.replaceAll("_", " ");
const day = (text) => new Date(text).toLocaleDateString("en", { day: "numeric", month: "long", year: "numeric" });

export function subtitle(card) {
  const { data } = card;
  return [card.estimator, card.task.replace("-", " "), data.training_rows && `trained on ${number(data.training_rows)} rows`].filter(Boolean).join(" · ");
}

export function render(place, card, summary, state) {
  place.replaceChildren(...[
    h("div", { class: "facts" }, h("dl", {}, facts(card, summary, state).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))), metrics(card.metrics)),
    scrolled("What each input takes", inputs(card)),
    card.notes.length > 0 && h("ul", { class: "notes" }, card.notes.map((note) => h("li", {}, note))),
    h("details", {}, h("summary", {}, "Digests"), h("dl", { class: "digests" }, Object.entries(digests(card)).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, h("code", {}, value)))))),
  ].filter(Boolean));
}

function facts(card, summary, state) {
  const { data, parity } = card;
  const compiled = card.engine === "onnx";
  return [
    ["Estimator", card.estimator],
    ["Task", card.task.replace("-", " ")],
    ["Version", [card.version, ...labels(summary, card.version), state === "unavailable" && state].filter(Boolean).join(", ")],
    ["Packed", h("time", { datetime: card.created }, day(card.created))],
    data.training_rows && ["Training rows", [number(data.training_rows), data.rows && data.rows !== data.training_rows && ` of ${number(data.rows)}`, (data.source ?? data.file) && h("span", { class: "dim" }, ` ${data.source ?? data.file}`)]],
    ["Engine", compiled ? "ONNX, compiled from the estimator" : "scikit-learn, the estimator itself"],
    compiled && parity.rows && ["Parity", `equal on ${number(parity.rows)} rows; largest difference ${number(Math.max(0, ...Object.values(parity.worst ?? {})))}, ${number(parity.tolerance)} allowed`],
    !compiled && parity.reason && ["Parity", String(parity.reason)],
  ].filter(Boolean);
}

export function labels(summary, version) {
  const named = summary.labels ?? (summary.live ? { live: summary.live } : {});
  return Object.entries(named).filter(([, target]) => (target?.version ?? target) === version).map(([label]) => label);
}

function metrics(found) {
  const sets = Object.entries(found).every(([, value]) => typeof value === "object" && value !== null) ? Object.entries(found) : [["", found]];
  const names = [...new Set(sets.flatMap(([, values]) => Object.keys(values)))];
  if (!names.length) return h("p", { class: "dim" }, "No metrics were packed with it.");
  const cell = (value) => (value === undefined ? "–" : number(value));
  return scrolled("Metrics", h("table", { class: "metrics" }, h("caption", {}, "Metrics"),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("span", { class: "hidden" }, "metric")), sets.map(([set]) => h("th", { scope: "col" }, spelled(set))))),
    h("tbody", {}, names.sort((a, b) => Number(["rows", "folds"].includes(a)) - Number(["rows", "folds"].includes(b))).map((name) =>
      h("tr", {}, h("th", { scope: "row" }, spelled(name)), sets.map(([, values]) => h("td", {}, cell(values[name]))))))));
}

function inputs(card) {
  const values = (feature) => choices(feature)?.map(([value, word]) => (String(value) === word ? word : `${value} ${word}`)).join(", ") ?? feature.categories?.join(", ") ?? range(feature);
  const head = ["Input", "Type", "Unit", "Seen in training", "Example", "May be unknown", "Meaning"];
  return h("table", {}, h("caption", {}, "Inputs"), h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, card.features.map((f) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, f.name)),
      [f.kind, f.unit ?? "", values(f) + (f.open ? ", or others" : ""), f.example === null ? "" : number(f.example), f.nullable ? "yes" : "no", f.description ?? ""].map((text) => h("td", {}, text))))));
}

const scrolled = (label, table) => h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, table);
const digests = (card) => ({ ...card.digests, ...(card.data.digest ? { "training data": card.data.digest } : {}) });
