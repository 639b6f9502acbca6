// Charts as inline SVG, drawn at the width they have, so that their words keep their size on a phone.

import { s } from "./dom.js";
import { number } from "./features.js";

const FRAME = { top: 14, right: 16, bottom: 30, left: 46 };

// Round numbers between `low` and `high`, about `count` of them.
export function ticks(low, high, count = 5) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const by = [1, 2, 2.5, 5, 10].map((m) => m * power).find((candidate) => candidate >= rough * 0.99);
  const found = [];
  for (let i = Math.ceil(low / by - 1e-9); i * by <= high + by * 1e-9; i += 1) found.push(Number((i * by).toPrecision(12)));
  return found;
}

const scale = (low, high, from, to) => (value) => from + ((value - low) / (high - low || 1)) * (to - from);

export function frame(place, label, { x, y, xTicks, yTicks, xWord = number, yWord = number, xTitle, height }) {
  const foot = FRAME.bottom + (xTitle ? 20 : 0);
  const width = Math.max(260, place.clientWidth);
  const sx = scale(...x, FRAME.left, width - FRAME.right);
  const sy = scale(...y, height - foot, FRAME.top);
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label },
    yTicks.map((at) => [
      s("line", { class: "grid", x1: FRAME.left, x2: width - FRAME.right, y1: sy(at), y2: sy(at) }),
      s("text", { class: "tick", x: FRAME.left - 8, y: sy(at) + 4, "text-anchor": "end" }, yWord(at)),
    ]),
    xTicks.map((at) => s("text", { class: "tick", x: sx(at), y: height - foot + 21, "text-anchor": "middle" }, xWord(at))),
    xTitle && s("text", { class: "tick", x: (FRAME.left + width - FRAME.right) / 2, y: height - 6, "text-anchor": "middle" }, xTitle));
  place.replaceChildren(svg);
  return { svg, sx, sy, width, height, ...FRAME, bottom: foot };
}

export const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

// How many predictions fall where; `bins` are {from, to, count} or {label, count}.
export function histogram(place, bins, label, xTitle) {
  const yTicks = ticks(0, Math.max(...bins.map((bin) => bin.count), 1), 3).filter(Number.isInteger);
  const most = Math.max(...bins.map((bin) => bin.count), 1);
  const by = Math.max(1, yTicks[1] - yTicks[0] || 1);
  if (yTicks.at(-1) < most) yTicks.push(Math.ceil(most / by) * by);
  const named = bins[0]?.label !== undefined;
  const [low, high] = named ? [0, bins.length] : [bins[0].from, bins.at(-1).to];
  const every = named ? Math.ceil(bins.length / 10) : 1;
  const { svg, sx, sy } = frame(place, label, {
    x: [low, high], y: [0, yTicks.at(-1)], xTitle, height: 210,
    xTicks: named ? bins.map((_, i) => i + 0.5).filter((_, i) => i % every === 0) : ticks(low, high),
    xWord: named ? (at) => bins[Math.floor(at)].label : number,
    yTicks,
  });
  bins.forEach((bin, i) => {
    const [from, to] = named ? [sx(i + 0.2), sx(i + 0.8)] : [sx(bin.from) + 0.5, sx(bin.to) - 0.5];
    svg.append(s("rect", { class: "column", x: from, y: sy(bin.count), width: Math.max(1, to - from), height: sy(0) - sy(bin.count), "--hue": bin.hue, rx: 2 },
      s("title", {}, `${named ? bin.label : `${number(bin.from)} to ${number(bin.to)}`}: ${bin.count}`)));
  });
}

export function bins(values, count = 24) {
  let [low, high] = [Infinity, -Infinity]; // Math.min(...values) takes no more than about 100,000
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (low === high) return [{ from: low - 0.5, to: high + 0.5, count: values.length }];
  const edges = ticks(low, high, count);
  const by = edges[1] - edges[0];
  const first = Math.floor(low / by + 1e-9);
  const found = Array.from({ length: Math.floor(high / by + 1e-9) - first + 1 }, (_, i) => ({ from: (first + i) * by, to: (first + i + 1) * by, count: 0 }));
  for (const value of values) found[Math.min(found.length - 1, Math.max(0, Math.floor(value / by + 1e-9) - first))].count += 1;
  return found;
}
