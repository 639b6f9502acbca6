// The response curve: one feature over its seen range with all else held, one batched request, the current point marked.

import { send } from "./api.js";
import { hue, output } from "./answer.js";
import { h, s } from "./dom.js";
import { choices, isNumeric, number, outside, percent, title, word } from "./features.js";
import { frame, path, ticks } from "./charts.js";

const POINTS = 61;
export const COARSE = 7; // a feature, where all of them are compared

export const drawable = (feature) => Boolean(choices(feature) || (isNumeric(feature) && feature.range) || feature.categories?.length);

export class Curve {
  constructor(place, said) {
    Object.assign(this, { said, cache: new Map(), drawn: null, turn: 0, limit: Infinity, reach: [], legend: h("ul", { class: "legend" }), place: h("div", { class: "plot" }) });
    place.replaceChildren(this.legend, this.place);
    new ResizeObserver(() => this.drawn && this.draw(...this.drawn)).observe(this.place);
  }

  // Moving the feature itself changes nothing of its curve within the seen range: only a new curve is asked for.
  async update(path_, card, feature, row, answer, signal) {
    const turn = this.turn += 1;
    const grid = values(feature, row[feature.name], Math.max(2, Math.min(POINTS, this.limit)));
    const key = JSON.stringify([path_, feature.name, { ...row, [feature.name]: null }, grid[0], grid.at(-1)]);
    if (!this.cache.has(key)) {
      const instances = grid.map((value) => ({ ...row, [feature.name]: value }));
      const found = await send(path_, { instances, outputs: outputs(card) }, { signal }).catch((error) => {
        if (turn === this.turn) throw error;
      });
      if (turn !== this.turn) return; // another was asked for meanwhile
      if (this.cache.size > 50) this.cache.clear();
      this.cache.set(key, lines(card, found));
    }
    this.drawn = [card, feature, grid, this.cache.get(key), row[feature.name], answer];
    this.draw(...this.drawn);
  }

  clear(text) {
    this.turn += 1;
    this.drawn = null;
    this.place.replaceChildren();
    this.legend.replaceChildren();
    this.said.textContent = text;
  }

  draw(card, feature, grid, drawn, at, answer) {
    const listed = !isNumeric(feature) || choices(feature);
    // One scale for every input, or a flat line would look as steep as any.
    const values = [...drawn.flatMap((line) => line.values), ...this.reach];
    const shares = Boolean(output(card, "probabilities"));
    const names = shares ? null : classNames(card);
    const [low, high] = shares ? [0, 1] : widened(...(names ? [0, names.length - 1] : [Math.min(...values), Math.max(...values)]));
    const x = listed ? [-0.5, grid.length - 0.5] : [grid[0], grid.at(-1)];
    const few = Math.max(2, Math.min(6, Math.floor(this.place.clientWidth / 90)));
    const area = frame(this.place, describe(card, feature, grid, drawn), {
      x, y: [low, high],
      xTicks: listed ? grid.map((_, i) => i).filter((i) => i % Math.ceil(grid.length / (few * 2)) === 0) : ticks(...x, few),
      xWord: listed ? (i) => word(grid[i], feature) : number,
      yTicks: shares ? [0, 0.25, 0.5, 0.75, 1] : names?.map((_, i) => i) ?? ticks(low, high),
      yWord: shares ? percent : (at) => names?.[at] ?? number(at),
      xTitle: [title(feature.name), feature.unit].filter(Boolean).join(", "),
      height: this.place.clientHeight,
    });
    const positions = grid.map((value, i) => area.sx(listed ? i : value));
    this.beyond(area, feature, grid, listed);
    drawn.forEach((line) => {
      const points = line.values.map((value, k) => [positions[k], area.sy(value)]);
      area.svg.append(s("path", { class: listed ? "line listed" : "line", d: path(points), "--hue": hue(line.hue) }));
      if (listed) area.svg.append(...points.map(([cx, cy]) => s("circle", { class: "dot", cx, cy, r: 4, "--hue": hue(line.hue) })));
    });
    this.mark(area, card, drawn, positions, grid, listed, at, answer);
    const { unit } = output(card, "prediction");
    this.legend.replaceChildren(...drawn.map((line) => h("li", { "--hue": hue(line.hue) }, line.label ?? ["prediction", unit].filter(Boolean).join(", "))));
    this.hover(area, positions, grid, drawn, feature, (value) => (shares ? percent(value) : names?.[value] ?? [number(value), unit].filter(Boolean).join(" ")));
  }

  beyond({ svg, sx, top, bottom, height }, feature, grid, listed) {
    if (listed) return;
    for (const [from, to] of [[grid[0], feature.range[0]], [feature.range[1], grid.at(-1)]]) {
      if (to > from) svg.append(s("rect", { class: "beyond", x: sx(from), width: sx(to) - sx(from), y: top, height: height - top - bottom }, s("title", {}, "outside what was seen in training")));
    }
  }

  mark({ svg, sx, sy, top, bottom, height }, card, drawn, positions, grid, listed, at, answer) {
    const x = listed ? positions[grid.indexOf(at)] : sx(at);
    if (at === null || x === undefined || Number.isNaN(x)) return;
    svg.append(s("line", { class: "now", x1: x, x2: x, y1: top, y2: height - bottom }),
      ...drawn.map((line) => {
        const y = line.part === undefined ? answer.probabilities?.[line.label] : level(card, parts(answer.prediction)[line.part]);
        return typeof y === "number" && s("circle", { class: "point", cx: x, cy: sy(y), r: 5.5, "--hue": hue(line.hue) });
      }).filter(Boolean));
  }

  hover({ svg, top, bottom, height }, positions, grid, drawn, feature, figure) {
    const line = s("line", { class: "cross", y1: top, y2: height - bottom, visibility: "hidden" });
    const rest = "The line marks the current input; all other inputs are held.";
    this.said.textContent = rest;
    svg.append(line);
    svg.addEventListener("pointermove", (event) => {
      const x = event.clientX - svg.getBoundingClientRect().left;
      const k = positions.reduce((best, position, i) => (Math.abs(position - x) < Math.abs(positions[best] - x) ? i : best), 0);
      line.setAttribute("x1", positions[k]);
      line.setAttribute("x2", positions[k]);
      line.setAttribute("visibility", "visible");
      const figures = drawn.map((d) => [d.label, figure(d.values[k])].filter(Boolean).join(" "));
      this.said.textContent = `${title(feature.name)} ${[word(grid[k], feature), feature.unit].filter(Boolean).join(" ")}: ${figures.join(", ")}`;
    });
    svg.addEventListener("pointerleave", () => {
      line.setAttribute("visibility", "hidden");
      this.said.textContent = rest;
    });
  }
}

// The input that moves this answer the furthest over its range, all else held, and between which values: COARSE points
// each, in one request.
export async function furthest(path_, card, features, row, signal) {
  const grids = features.map((feature) => values(feature, row[feature.name], COARSE));
  const instances = grids.flatMap((grid, i) => grid.map((value) => ({ ...row, [features[i].name]: value })));
  const found = lines(card, await send(path_, { instances, outputs: outputs(card) }, { signal }));
  let from = 0;
  const spans = grids.map((grid) => {
    const to = from + grid.length;
    const span = Math.max(...found.map((line) => Math.max(...line.values.slice(from, to)) - Math.min(...line.values.slice(from, to))));
    from = to;
    return span;
  });
  const all = found.flatMap((line) => line.values);
  return { feature: features[spans.indexOf(Math.max(...spans))], reach: [Math.min(...all), Math.max(...all)] };
}

// Where to ask: over the seen range, further where the current value is outside it; or each of the listed values.
function values(feature, at, count) {
  const listed = choices(feature)?.map(([value]) => value) ?? (isNumeric(feature) ? null : feature.categories);
  if (listed) return listed;
  let [low, high] = feature.range;
  if (outside(at, feature)) [low, high] = [Math.min(low, at), Math.max(high, at)];
  const points = Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));
  return feature.kind === "integer" ? [...new Set(points.map(Math.round))] : points;
}

const outputs = (card) => [output(card, "probabilities") ? "probabilities" : "prediction"];

// The lines of a batched answer: one for each class, or the values; classes without probabilities become steps.
function lines(card, found) {
  const labels = output(card, "probabilities")?.labels;
  if (labels) return labels.map((label, hue_) => ({ label, hue: hue_, values: found.probabilities.map((row) => row[label] ?? 0) })).slice(0, 8);
  const { width } = output(card, "prediction");
  return Array.from({ length: width }, (_, part) => ({
    part, hue: part, label: width > 1 ? `output ${part + 1}` : null, values: found.predictions.map((value) => level(card, parts(value)[part])),
  }));
}

const parts = (prediction) => (Array.isArray(prediction) ? prediction : [prediction]);

// The names along the axis where the answer is a class and nothing more.
function classNames(card) {
  const { classes, labels, width } = output(card, "prediction");
  return classes && width === 1 ? labels ?? classes.map(String) : null;
}

const level = (card, value) => (classNames(card) ? output(card, "prediction").classes.indexOf(value) : value);

function widened(low, high) {
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [low - room, high + room];
}

function describe(card, feature, grid, drawn) {
  const { unit } = output(card, "prediction");
  const figure = (line, value) => (line.part === undefined ? percent(value) : classNames(card)?.[value] ?? [number(value), unit].filter(Boolean).join(" "));
  const moves = drawn.map((line) => `${line.label ?? "prediction"} goes from ${figure(line, line.values[0])} to ${figure(line, line.values.at(-1))}`);
  return `As ${title(feature.name)} goes from ${word(grid[0], feature)} to ${word(grid.at(-1), feature)}: ${moves.join("; ")}.`;
}
