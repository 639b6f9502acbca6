// One answer: a value with its units, or a class with a bar for the probability of each.

import { h } from "./dom.js";
import { number, percent } from "./features.js";

const SHOWN = 8; // classes with a bar

export const hue = (i) => `var(--c${(i % 8) + 1})`;

export function output(card, name) {
  return card.outputs.find((found) => found.name === name);
}

// An empty answer of the size that the real one will have, so that nothing moves when it comes.
export function blank(place, card) {
  const labels = output(card, "probabilities")?.labels;
  place.replaceChildren(value("–", null), ...extra(card, null), labels ? bars(labels, null) : "");
}

export function show(place, card, answer) {
  const { prediction, label, probabilities, unit } = answer;
  const labels = output(card, "probabilities")?.labels;
  place.replaceChildren(
    value(label ?? word(prediction), label === undefined ? unit : null),
    ...extra(card, answer),
    probabilities && labels ? bars(labels, probabilities) : "",
  );
}

// The answer in one sentence, for those who listen.
export function sentence(answer) {
  const { prediction, label, probabilities, unit } = answer;
  const share = probabilities && label !== undefined && probabilities[label] !== undefined ? `, ${percent(probabilities[label])}` : "";
  return `Prediction: ${label ?? word(prediction)}${label === undefined && unit ? ` ${unit}` : ""}${share}`;
}

export const word = (prediction) => (Array.isArray(prediction) ? prediction.map((part) => number(part)).join(", ") : number(prediction));

const value = (text, unit) => h("p", { class: "value" }, h("strong", {}, text), unit && h("span", { class: "unit" }, unit));

function extra(card, answer) {
  const units = Object.keys(output(card, "prediction").conversions);
  return units.length ? [h("p", { class: "also" }, units.map((unit) => (answer ? `${number(answer.conversions[unit])} ${unit}` : "–")).join(" · "))] : [];
}

function bars(labels, shares) {
  let listed = labels.map((label, i) => ({ label, i, share: shares?.[label] ?? 0 }));
  const hidden = listed.length - SHOWN;
  if (hidden > 0) listed = listed.sort((a, b) => b.share - a.share).slice(0, SHOWN);
  const best = Math.max(...listed.map((row) => row.share));
  return h("dl", { class: "bars" }, listed.map(({ label, i, share }) => h("div", { class: share === best && shares ? "best" : null },
    h("dt", {}, label),
    h("dd", {}, h("span", { class: "track", "aria-hidden": "true" }, h("span", { "--share": share, "--hue": hue(i) })), h("span", { class: "figure" }, shares ? percent(share) : "–")))),
  hidden > 0 && h("p", { class: "hint" }, `and ${hidden} more classes`));
}
