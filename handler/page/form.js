// The inputs: for each feature the control that suits it, its seen range, and what is wrong with it, on the same line.

import { h } from "./dom.js";
import { choices, expected, fault, isNumeric, number, outside, range, read, step, title } from "./features.js";

const SEGMENTS = 4; // more choices than this become a list

export class Form {
  constructor(place, features, onChange) {
    this.features = features;
    this.fields = new Map(features.map((feature, i) => [feature.name, new Field(feature, `f${i}`, onChange)]));
    place.replaceChildren(...[...this.fields.values()].map((field) => field.element));
    place.style.setProperty("--count", features.length); // few fields may stand further apart, but not lost
    this.fill(Object.fromEntries(features.map((feature) => [feature.name, feature.example])));
  }

  get row() { return Object.fromEntries([...this.fields].map(([name, field]) => [name, field.value])); }

  fill(row) {
    for (const [name, field] of this.fields) if (name in row) field.set(row[name]);
  }

  // Show each field's own state; tell whether all of them can be sent.
  check() {
    let good = true;
    for (const field of this.fields.values()) good = field.check() && good;
    return good;
  }

  fail(name, detail) {
    this.fields.get(name)?.say(detail, "error");
    return this.fields.has(name);
  }

  get extrapolated() { return this.features.filter((feature) => outside(this.fields.get(feature.name).value, feature)); }
}

class Field {
  constructor(feature, id, onChange) {
    this.feature = feature;
    this.id = id;
    this.value = null;
    this.changed = (value) => {
      this.value = value;
      onChange(feature);
    };
    const options = choices(feature);
    const control = options
      ? (options.length <= SEGMENTS ? this.segments(options) : this.list(options))
      : this.entry();
    this.hint = h("p", { class: "hint", id: `${id}-hint` });
    this.element = h(options && options.length <= SEGMENTS ? "fieldset" : "div", { class: "field", "data-feature": feature.name },
      this.label(options), control, this.hint);
  }

  label(options) {
    const words = [title(this.feature.name), this.feature.unit && h("span", { class: "unit" }, this.feature.unit)];
    if (options && options.length <= SEGMENTS) return h("legend", {}, words);
    const label = h("label", { for: this.id }, words);
    if (!this.feature.nullable || options) return label;
    this.unknown = h("input", { type: "checkbox", onchange: () => this.toggle() });
    return h("div", { class: "label" }, label,
      h("label", { class: "unknown" }, this.unknown, "unknown", h("span", { class: "hidden" }, ` ${title(this.feature.name)}`)));
  }

  segments(options) {
    const all = this.feature.nullable ? [...options, [null, "unknown"]] : options;
    this.radios = all.map(([value, text]) => {
      const input = h("input", { type: "radio", name: this.id, "aria-describedby": `${this.id}-hint`, onchange: () => this.changed(value) });
      return { value, input, element: h("label", {}, input, h("span", {}, text)) };
    });
    return h("div", { class: "segments" }, this.radios.map((radio) => radio.element));
  }

  list(options) {
    const all = this.feature.nullable ? [...options, [null, "unknown"]] : options;
    this.options = all.map(([value]) => value);
    this.select = h("select", { id: this.id, "aria-describedby": `${this.id}-hint`, onchange: () => this.changed(this.options[this.select.selectedIndex]) },
      all.map(([, text]) => h("option", {}, text)));
    return this.select;
  }

  entry() {
    const { feature, id } = this;
    const common = { id, "aria-describedby": `${id}-hint`, autocomplete: "off", spellcheck: "false" };
    const typed = () => {
      if (this.slider) this.slide(read(this.input.value, feature));
      this.changed(read(this.input.value, feature));
    };
    if (feature.kind === "text") {
      this.input = h("textarea", { ...common, rows: 2, oninput: typed });
      return this.input;
    }
    this.input = h("input", { ...common, type: "text", inputmode: isNumeric(feature) ? "decimal" : null, list: feature.categories ? `${id}-list` : null, oninput: typed });
    if (feature.categories) return h("div", {}, this.input, h("datalist", { id: `${id}-list` }, feature.categories.map((c) => h("option", { value: c }))));
    if (!feature.range || feature.range[0] === feature.range[1]) return this.input;
    const by = step(feature);
    const low = Math.floor(feature.range[0] / by + 1e-9) * by;
    const high = Math.ceil(feature.range[1] / by - 1e-9) * by;
    const tidy = (value) => Number(value.toFixed(Math.max(0, Math.ceil(-Math.log10(by)))));
    this.slider = h("input", { type: "range", min: tidy(low), max: tidy(high), step: by, "aria-label": `${title(feature.name)}, slider`, oninput: () => {
      const value = tidy(Number(this.slider.value));
      this.input.value = String(value);
      this.slide(value);
      this.changed(value);
    } });
    return h("div", { class: "slide" }, this.slider, this.input);
  }

  slide(value) {
    if (typeof value !== "number" || Number.isNaN(value)) return;
    const { min, max } = this.slider;
    this.slider.value = value;
    this.slider.style.setProperty("--at", `${100 * Math.min(1, Math.max(0, (value - min) / (max - min)))}%`);
    this.slider.setAttribute("aria-valuetext", [number(value), this.feature.unit].filter(Boolean).join(" "));
  }

  toggle() {
    const off = this.unknown.checked;
    this.dim(off);
    this.changed(off ? null : read(this.input.value, this.feature));
    if (!off) this.input.focus();
  }

  dim(off) {
    this.input.disabled = off;
    if (this.slider) this.slider.disabled = off;
  }

  set(value) {
    this.value = value;
    this.radios?.forEach((radio) => { radio.input.checked = radio.value === value; });
    if (this.select) this.select.selectedIndex = Math.max(0, this.options.indexOf(value));
    if (!this.input) return;
    if (this.unknown) this.unknown.checked = value === null;
    this.dim(Boolean(this.unknown?.checked));
    if (value !== null || !this.unknown) this.input.value = value ?? "";
    if (this.slider) this.slide(value);
  }

  check() {
    const { feature } = this;
    const typed = this.input && !this.input.disabled;
    const wrong = typed && this.value === null ? `expected ${expected({ ...feature, nullable: false })}` : fault(this.value, feature);
    if (wrong) this.say(wrong, "error");
    else if (outside(this.value, feature)) this.say(`outside ${range(feature)}, seen in training: extrapolation`, "caution");
    else this.say([aside(feature), feature.range && isNumeric(feature) && !this.radios && `seen ${range(feature)}`].filter(Boolean).join(" · "), "");
    return !wrong;
  }

  say(text, kind) {
    this.hint.textContent = text;
    this.element.dataset.state = kind;
    for (const control of [this.input, this.select, ...(this.radios ?? []).map((radio) => radio.input)]) {
      control?.setAttribute("aria-invalid", String(kind === "error"));
    }
  }
}

const aside = ({ name, description }) => (description && description.toLowerCase() !== title(name).toLowerCase() ? description : "");
