// Many rows: a file or pasted text, checked row by row, scored in batches, shown with what was refused in its place.

import { rowOf, send } from "./api.js";
import { hue, output, word } from "./answer.js";
import { bins, histogram } from "./charts.js";
import * as csv from "./csv.js";
import { $, h, save } from "./dom.js";
import { aligned, number, percent, read } from "./features.js";

const ROWS = 1000; // in one request: often enough for the progress to move
const BYTES = 3_000_000;
const SHOWN = 100;

export class Batch {
  constructor(place, card, path, limits) {
    Object.assign(this, { place, card, path, limits, running: null });
    this.file = h("input", { type: "file", accept: ".csv,.tsv,.txt,text/csv", class: "hidden", id: "file", onchange: () => this.take(this.file.files[0]) });
    this.text = h("textarea", { id: "pasted", rows: 5, spellcheck: "false", placeholder: example(card) });
    this.result = h("div", { class: "result" });
    const drop = h("label", { class: "drop", for: "file" }, h("strong", {}, "Drop a CSV here"), " or ", h("span", { class: "link" }, "choose a file"),
      h("span", { class: "hint" }, `One row a line, a header with ${card.features.length > 8 ? "the inputs' names" : card.features.map((f) => f.name).join(", ")}. Other columns are kept beside the answers. It is read in your browser; only the inputs are sent.`));
    for (const [event, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
      drop.addEventListener(event, (e) => {
        e.preventDefault();
        drop.classList.toggle("over", over);
        if (event === "drop" && e.dataTransfer.files[0]) this.take(e.dataTransfer.files[0]);
      });
    }
    place.replaceChildren(this.file, drop,
      h("details", {}, h("summary", {}, "Paste rows instead"), h("label", { for: "pasted", class: "hidden" }, "Rows to score"), this.text,
        h("button", { type: "button", class: "primary", onclick: () => this.run(this.text.value) }, "Score the rows")),
      this.result);
  }

  async take(file) {
    if (file) this.run(await file.text());
    this.file.value = "";
  }

  async run(text) {
    this.running?.abort();
    this.running = new AbortController();
    const { signal } = this.running;
    const read = csv.rows(text, this.card.features);
    if (read.problem) return this.refuse(read.problem);
    const good = read.rows.filter((row) => !row.faults.length);
    const bar = h("progress", { max: Math.max(1, good.length), value: 0, "aria-label": "Rows scored" });
    const said = h("span", {});
    const stop = h("button", { type: "button", onclick: () => this.running.abort() }, "Stop");
    this.result.replaceChildren(h("div", { class: "progress" }, bar, said, stop));
    try {
      await this.score(good, signal, (done) => {
        bar.value = done;
        said.textContent = `${number(done)} of ${number(good.length)} rows`;
      });
    } catch (error) {
      if (error.name !== "AbortError") return this.refuse(error.message, read);
    }
    if (signal === this.running.signal) this.show(read, signal.aborted);
    return undefined;
  }

  refuse(problem, read) {
    if (read) this.show(read, true);
    else this.result.replaceChildren();
    this.result.prepend(h("p", { class: "error", role: "alert" }, problem));
  }

  async score(good, signal, progress) {
    progress(0);
    for (let from = 0, to; from < good.length; from = to) {
      const most = Math.min(ROWS, this.limits?.rows ?? ROWS);
      let bytes = 0;
      for (to = from; to < good.length && to - from < most && (bytes < Math.min(BYTES, 0.5 * (this.limits?.body_bytes ?? BYTES)) || to === from); to += 1) {
        bytes += JSON.stringify(good[to].values).length;
      }
      await this.request(good.slice(from, to), signal);
      progress(to);
    }
  }

  // One request. Rows that the server refuses get its words, and the others are asked again; a prediction that fails
  // without naming its row is found by halves.
  async request(rows, signal) {
    if (!rows.length) return;
    try {
      const found = await send(this.path, { instances: rows.map((row) => row.values) }, { signal });
      rows.forEach((row, i) => { row.answer = at(found, i); });
    } catch (error) {
      if (error.status !== 400) throw error;
      const named = error.errors.map((one) => [rowOf(one.pointer), one.detail]).filter(([place]) => place);
      for (const [[i, name], detail] of named) rows[i]?.faults.push({ name: name ?? null, detail });
      if (named.length) await this.request(rows.filter((row) => !row.faults.length), signal);
      else if (rows.length === 1) rows[0].faults.push({ name: null, detail: error.message });
      else for (const half of [rows.slice(0, rows.length >> 1), rows.slice(rows.length >> 1)]) await this.request(half, signal);
    }
  }

  show(read, stopped) {
    const scored = read.rows.filter((row) => row.answer);
    const refused = read.rows.filter((row) => row.faults.length);
    const words = [`${number(scored.length)} of ${number(read.rows.length)} rows scored`, refused.length && `${number(refused.length)} refused`,
      read.bare && "no header: columns taken in the order of the inputs", read.extra.length && `not inputs: ${read.extra.join(", ")}`, stopped && "stopped"];
    const sentence = words.filter(Boolean).join(" · ");
    const chart = h("div", { class: "chart" });
    const table = new Table(read, this.card);
    const only = h("input", { type: "checkbox", onchange: () => table.draw(only.checked ? refused : read.rows) });
    this.result.replaceChildren(
      h("div", { class: "summary" }, h("p", {}, sentence),
        refused.length > 0 && h("label", { class: "inline" }, only, "only the refused"),
        h("button", { type: "button", class: "primary", onclick: () => save(`${this.card.name}-${this.card.version}-predictions.csv`, table.csv()) }, "Download CSV")),
      chart, table.element);
    $("live").textContent = sentence;
    table.draw(read.rows);
    this.histogram(chart, scored.map((row) => row.answer));
  }

  histogram(place, answers) {
    const one = output(this.card, "prediction");
    const values = answers.map((answer) => answer.label ?? answer.prediction);
    const numeric = one.kind === "number" && values.every((value) => typeof value === "number");
    if (!values.length || values.some(Array.isArray)) return place.remove();
    const axis = [this.card.task === "regression" ? "prediction" : "predicted class", numeric && one.unit].filter(Boolean).join(", ");
    const order = numeric ? [] : [...new Set([...(one.labels ?? []), ...values.map(String)])];
    const drawn = () => histogram(place, numeric ? bins(values) : order.map((label, i) => ({ label, hue: hue(i), count: values.filter((v) => String(v) === label).length })), `How the predictions are distributed: rows by ${axis}`, axis);
    drawn();
    place.prepend(h("p", { class: "hint" }, "Rows"));
    return undefined;
  }
}

const isNumber = (cell) => typeof read(cell ?? "", { kind: "number" }) === "number";

const at = (found, i) => ({
  prediction: found.predictions[i], label: found.labels?.[i], probabilities: found.probabilities?.[i], conversions: found.conversions?.[i],
});

class Table {
  constructor(read, card) {
    Object.assign(this, { read, card, shown: SHOWN });
    const prediction = output(card, "prediction");
    const labels = output(card, "probabilities")?.labels ?? [];
    this.added = [
      ["prediction", (a) => a.prediction],
      prediction.labels && ["label", (a) => a.label],
      ...Object.keys(prediction.conversions).map((unit) => [`prediction_${unit}`, (a) => a.conversions?.[unit]]),
      ...labels.map((label) => [`probability_${label}`, (a) => a.probabilities?.[label]]),
    ].filter(Boolean);
    this.head = [[card.task === "regression" ? "prediction" : "class", prediction.unit].filter(Boolean).join(", "), ...Object.keys(prediction.conversions), labels.length && "probability"].filter(Boolean);
    this.write = this.added.map(([, get]) => aligned(read.rows.map((row) => row.answer && get(row.answer))));
    this.right = read.header.map((_, i) => read.rows.slice(0, SHOWN).filter(({ cells }) => isNumber(cells[i])).length > Math.min(SHOWN, read.rows.length) / 2);
    this.regression = card.task === "regression";
    this.figured = !prediction.labels && read.rows.some(({ answer }) => typeof answer?.prediction === "number");
    this.body = h("tbody");
    this.more = h("button", { type: "button", class: "quiet", onclick: () => { this.shown += 5 * SHOWN; this.draw(this.rows); } }, "Show more rows");
    this.element = h("div", {}, h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Scored rows" },
      h("table", {}, h("thead", {}, h("tr", {}, ["line", ...read.header, ...this.head].map((name, i) => h("th", { scope: "col", class: this.sides(i - 1) }, name)))), this.body)), this.more);
  }

  // The class of a column: an answer or not, its figures to the right.
  sides(i) {
    const answer = i - this.read.header.length;
    const right = answer < 0 ? this.right[i] : answer > 0 || this.figured;
    return [answer >= 0 && "answer", right && "right"].filter(Boolean).join(" ") || null;
  }

  draw(rows) {
    this.rows = rows;
    this.body.replaceChildren(...rows.slice(0, this.shown).map((row) => this.line(row)));
    this.more.hidden = rows.length <= this.shown;
  }

  line({ line, cells, faults, answer }) {
    const bad = new Map(faults.map((fault) => [fault.name, fault.detail]));
    const given = this.read.header.map((name, i) => h("td", { class: [bad.has(name) && "bad", this.sides(i)].filter(Boolean).join(" ") || null }, cells[i] ?? ""));
    const told = faults.map(({ name, detail }) => (name ? `${name}: ${detail}` : detail)).join("; ");
    return h("tr", { class: faults.length ? "refused" : null }, h("th", { scope: "row" }, line), given,
      faults.length ? h("td", { class: "answer", colspan: this.head.length }, told) : this.figures(answer));
  }

  figures(answer) {
    if (!answer) return h("td", { class: "answer", colspan: this.head.length }, "not scored");
    const { prediction, label, conversions, probabilities } = answer;
    const shares = Object.values(probabilities ?? {});
    const shown = (value, i) => (typeof value === "number" && this.regression ? this.write[i](value) : word(value));
    return [label ?? shown(prediction, 0), ...Object.values(conversions ?? {}).map((v, i) => shown(v, i + 1)), shares.length && percent(Math.max(...shares))]
      .filter((figure) => figure !== 0).map((figure, i) => h("td", { class: this.sides(this.read.header.length + i) }, figure));
  }

  csv() {
    const flat = (value) => (Array.isArray(value) ? value.join(" ") : value);
    return csv.write([[...this.read.header, ...this.added.map(([name]) => name), "error"], ...this.read.rows.map((row) => [
      ...this.read.header.map((_, i) => row.cells[i]), ...this.added.map(([, get]) => row.answer && flat(get(row.answer))),
      row.faults.map(({ name, detail }) => (name ? `${name}: ${detail}` : detail)).join("; "),
    ])]);
  }
}

export const example = (card) => csv.write([card.features.map((f) => f.name), card.features.map((f) => f.example)]).replaceAll("\r", "");
