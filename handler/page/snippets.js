// The current call in four languages. A secret is named, never shown: snippets are pasted where others read them.

import { $, copy, h } from "./dom.js";

// JSON in ASCII: whatever console it is pasted into, its encoding cannot spoil it.
const ascii = (value) => spaced(value).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

function spaced(value) {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([name, part]) => `${JSON.stringify(name)}: ${spaced(part)}`).join(", ")}}`;
}

function python(value) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([name, part]) => `${JSON.stringify(name)}: ${python(part)}`).join(", ")}}`;
}

const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
const power = (text) => `'${text.replaceAll("'", "''")}'`;

// Each takes the URL, the body, and how the caller proves itself (one of WAYS), if it must.
export const LANGUAGES = {
  curl: (url, body, way) => [
    `curl -s ${shell(url)}`,
    "-H 'content-type: application/json'",
    way && `-H "${way.header}: ${way.before}$${way.name}"`,
    `-d ${shell(ascii(body))}`,
  ].filter(Boolean).join(" \\\n  "),
  Python: (url, body, way) => `import json
${way ? "import os\n" : ""}import urllib.request

request = urllib.request.Request(
    ${JSON.stringify(url)},
    data=json.dumps(${python(body)}).encode(),
    headers={"content-type": "application/json"${way ? `, "${way.header}": ${way.before && `"${way.before}" + `}os.environ["${way.name}"]` : ""}},
)
with urllib.request.urlopen(request) as response:
    print(json.load(response))`,
  JavaScript: (url, body, way) => `${way ? `const ${way.name} = "…";\n` : ""}const response = await fetch(${JSON.stringify(url)}, {
  method: "POST",
  headers: { "content-type": "application/json"${way ? `, "${way.header}": ${way.before && `"${way.before}" + `}${way.name}` : ""} },
  body: JSON.stringify(${spaced(body)}),
});
console.log(await response.json());`,
  PowerShell: (url, body, way) => `$body = ${power(ascii(body))}
Invoke-RestMethod -Method Post -Uri ${power(url)} -ContentType 'application/json'${way ? ` -Headers @{ ${power(way.header)} = "${way.before}$env:${way.name}" }` : ""} -Body $body`,
};

export class Snippets {
  constructor(place) {
    this.chosen = Object.keys(LANGUAGES)[0];
    this.code = h("code");
    this.panel = h("pre", { role: "tabpanel", id: "snippet", tabindex: 0, "aria-labelledby": "tab-0" }, this.code);
    this.tabs = Object.keys(LANGUAGES).map((name, i) => h("button", {
      type: "button", role: "tab", id: `tab-${i}`, "aria-controls": "snippet",
      onclick: () => this.choose(i), onkeydown: (event) => this.move(event, i),
    }, name));
    place.replaceChildren(h("div", { role: "tablist", class: "tabs", "aria-label": "Language" }, this.tabs), this.panel);
    $("copy").addEventListener("click", () => copy(this.code.textContent, $("copy"), this.code));
    this.choose(0);
  }

  update(...call) {
    this.call = call;
    this.code.textContent = LANGUAGES[this.chosen](...call);
  }

  choose(i) {
    this.chosen = this.tabs[i].textContent;
    this.tabs.forEach((tab, k) => {
      tab.setAttribute("aria-selected", String(k === i));
      tab.tabIndex = k === i ? 0 : -1;
    });
    this.panel.setAttribute("aria-labelledby", `tab-${i}`);
    if (this.call) this.update(...this.call);
  }

  move(event, i) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const next = (i + by + this.tabs.length) % this.tabs.length;
    this.choose(next);
    this.tabs[next].focus();
  }
}
