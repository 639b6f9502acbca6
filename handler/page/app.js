// The page: which model, which inputs, and who must know when they change.

import { ask, field, secret, send, WAYS } from "./api.js";
import { blank, output, sentence, show } from "./answer.js";
import * as card_ from "./card.js";
import { COARSE, Curve, drawable, furthest } from "./curve.js";
import { $, copy, debounce, h, save } from "./dom.js";
import { fault, read, title } from "./features.js";
import { Form } from "./form.js";
import { Snippets } from "./snippets.js";

const TYPING = 120; // ms without a key before the answer is asked for
const RESTING = 350; // and the curve, which costs more
const LISTENING = 700; // and before it is read aloud

const state = { status: null, models: [], summary: null, card: null, form: null, last: null, row: null, abort: null, opening: 0 };
const curve = new Curve($("curve"), $("curve-said"));
const snippets = new Snippets($("code"));
const aloud = debounce((text) => { $("live").textContent = text; }, LISTENING);
const soon = debounce(answer, TYPING);
const curveSoon = debounce(drawCurve, RESTING);

// --- what is there

async function start() {
  loading("Reading the models…");
  const onSlow = () => loading("Waking the function: the first call after a pause takes a moment…");
  try {
    const [status, { models }] = await Promise.all([ask(".", { onSlow }), ask("models", { onSlow })]);
    Object.assign(state, { status, models });
    if (!models.length) return loading("No model is served yet: pack one, then load this page again.", true);
    $("model").replaceChildren(...models.map(({ name }) => h("option", {}, name)));
    await fromAddress();
  } catch (error) {
    failed(error);
  }
  return undefined;
}

// #name, #name/version, #name/version?feature=value&…
async function fromAddress() {
  const [place, query] = location.hash.slice(1).split("?");
  const [name, version] = place.split("/");
  const summary = state.models.find((model) => model.name === name) ?? state.models.find((model) => model.name === state.status.default) ?? state.models[0];
  const known = summary.versions.map((entry) => entry.version);
  await open(summary, known.includes(version) ? version : summary.live ?? known.at(-1), new URLSearchParams(query ?? ""));
}

async function open(summary, version, given = new URLSearchParams()) {
  const onSlow = () => { $("meta").textContent = "waking the function…"; };
  const turn = state.opening += 1;
  const card = await ask(`models/${encodeURIComponent(summary.name)}/versions/${encodeURIComponent(version)}`, { onSlow });
  if (turn !== state.opening) return; // another was chosen meanwhile
  Object.assign(state, { summary, card, last: null });
  pick();
  $("loading").hidden = true;
  $("page").hidden = false;
  document.title = `${title(card.name)} · try the model`;
  $("name").textContent = title(card.name);
  $("subtitle").textContent = card_.subtitle(card);
  $("card-json").href = `models/${card.name}/versions/${card.version}`;
  blank($("answer"), card);
  card_.render($("card"), card, summary, card.state);
  state.form = new Form($("fields"), card.features, changed);
  state.form.fill(Object.fromEntries(card.features.filter((f) => given.has(f.name)).map((f) => [f.name, given.get(f.name) === "" && f.nullable ? null : read(given.get(f.name), f)])));
  curve.reach = [];
  curveOf(card.features.filter(drawable));
  prepareBatch();
  prepareFeedback();
  history.replaceState(null, "", `${location.pathname}${location.search}#${card.name}/${card.version}`);
  await answer();
  await chooseCurve(card);
}

// The pickers show what the page shows, also after a choice that could not be opened.
function pick() {
  const { summary, card } = state;
  $("model").value = summary.name;
  $("version").replaceChildren(...summary.versions.map(({ version }) => h("option", { value: version, selected: version === card.version },
    [version, ...card_.labels(summary, version)].join(" · "))));
}

function path() {
  const { name, version } = state.card;
  const one = `models/${encodeURIComponent(name)}`;
  return state.summary.live === version ? `${one}/predict` : `${one}/versions/${encodeURIComponent(version)}/predict`;
}

// Of what nobody asked no record is kept: it would be taken for drift.
const whatIf = () => `${path()}?record=false`;

// --- the answer

function changed(feature) {
  if (drawable(feature)) $("curve-feature").value = feature.name;
  feedbackReady(false); // the answer that is there belongs to other inputs
  soon();
}

async function answer() {
  const { form, card } = state;
  const good = form.check();
  state.abort?.abort();
  if (!good) return unanswered("Mend the marked inputs to see a prediction.");
  const { signal } = (state.abort = new AbortController());
  const row = form.row;
  snippets.update(new URL(path(), document.baseURI).href, { features: row }, WAYS[secret.way]);
  $("answer").setAttribute("aria-busy", "true");
  const before = performance.now();
  try {
    const found = await send(path(), { features: row }, { signal, onSlow: () => { $("meta").textContent = "waking the function…"; } });
    if (signal.aborted) return undefined;
    const took = performance.now() - before;
    [state.last, state.row] = [found, row]; // what the curve is drawn around: the form may hold what cannot be sent
    show($("answer"), card, found);
    $("answer").classList.remove("stale");
    $("meta").replaceChildren(h("span", { title: "from this browser to the service and back" }, `${took < 10 ? took.toFixed(1) : Math.round(took)} ms`), ` · ${found.model.name} ${found.model.version}`);
    cautions();
    feedbackReady(true);
    $("pin").textContent = sentence(found);
    aloud(sentence(found));
    curveSoon();
  } catch (error) {
    if (error.name !== "AbortError") explain(error);
  } finally {
    if (!signal.aborted) $("answer").removeAttribute("aria-busy");
  }
  return undefined;
}

function cautions() {
  const names = state.form.extrapolated.map((feature) => title(feature.name).toLowerCase());
  $("caution").textContent = names.length ? `Extrapolation: ${names.join(", ")} ${names.length > 1 ? "are" : "is"} outside what the model has seen.` : "";
}

function unanswered(text) {
  $("answer").classList.add("stale");
  $("answer").removeAttribute("aria-busy");
  $("meta").textContent = "";
  $("caution").textContent = text;
  $("pin").textContent = text;
  feedbackReady(false);
  aloud(text);
}

// A problem document goes to the fields it names; what names none is said beside the prediction.
function explain(error) {
  if (error.way) askFor(error);
  const elsewhere = (error.errors ?? []).filter(({ pointer, detail }) => {
    const name = field(pointer);
    const feature = name !== null && (state.card.features.find((f) => f.name === name) ?? state.card.features[Number(name)]);
    return !(feature && state.form.fail(feature.name, detail));
  });
  unanswered([error.message, ...elsewhere.map(({ detail }) => detail)].join(": "));
}

// --- the curve

function curveOf(features) {
  $("curve-feature").replaceChildren(...features.map((feature) => h("option", { value: feature.name }, title(feature.name).toLowerCase())));
  curve.limit = state.status.limits?.rows ?? Infinity;
}

// At first the input that matters most here, until somebody chooses or moves another.
async function chooseCurve(card) {
  const features = card.features.filter(drawable).slice(0, Math.min(24, Math.floor(curve.limit / COARSE)));
  if (!features.length || !state.last) return;
  const before = $("curve-feature").value;
  const found = await furthest(whatIf(), card, features, state.row).catch(() => null);
  if (!found || card !== state.card) return;
  curve.reach = found.reach;
  if ($("curve-feature").value === before) $("curve-feature").value = found.feature.name;
  drawCurve();
}

async function drawCurve() {
  const feature = state.card.features.find(({ name }) => name === $("curve-feature").value);
  if (!feature) return curve.clear("No input of this model has a seen range or listed values to draw over.");
  if (!state.last || $("answer").classList.contains("stale")) return undefined;
  try {
    await curve.update(whatIf(), state.card, feature, state.row, state.last, state.abort?.signal);
  } catch (error) {
    if (error.name !== "AbortError") curve.clear(`No curve: ${error.message}`);
  }
  return undefined;
}

// --- many rows: their modules are fetched when the rest is there

function prepareBatch() {
  const { card, status } = state;
  import("./batch.js").then(({ Batch, example }) => {
    if (card !== state.card) return;
    state.batch?.running?.abort();
    state.batch = new Batch($("batch"), card, path(), status.limits);
    $("template").onclick = () => save(`${card.name}.csv`, example(card));
  });
}

// --- the true value, when the deployment takes it

function prepareFeedback() {
  const { classes, labels, unit, width } = output(state.card, "prediction");
  const comparable = width === 1 && state.card.task !== "clustering"; // nobody knows the true cluster
  $("feedback").hidden = !(state.status.feedback && comparable);
  // No class is chosen beforehand: what was not looked at must not be sent as true.
  const control = classes
    ? h("select", { id: "actual" }, h("option", { value: "" }, "choose…"), classes.map((value, i) => h("option", { value: i }, labels?.[i] ?? String(value))))
    : h("input", { id: "actual", type: "text", inputmode: "decimal", autocomplete: "off" });
  $("actual-place").replaceChildren(control);
  $("actual-unit").textContent = unit ?? "";
}

function feedbackReady(ready) {
  $("feedback").querySelector("button").disabled = !ready;
  const said = "It is recorded beside this prediction."; // the line is always there, so that an answer moves nothing
  if ($("feedback-said").textContent !== said) $("feedback-said").textContent = said;
}

async function sendFeedback(event) {
  event.preventDefault();
  const { classes } = output(state.card, "prediction");
  const typed = $("actual").value;
  const actual = classes ? classes[typed === "" ? NaN : Number(typed)] : read(typed, { kind: "number" });
  const wrong = classes ? actual === undefined && "choose the true class" : fault(actual, { kind: "number" }) && "expected a number";
  if (wrong) {
    $("feedback-said").textContent = wrong;
    $("actual").focus();
    return;
  }
  const { id } = state.last;
  $("feedback").querySelector("button").disabled = true;
  try {
    await send("feedback", { id, row: 0, actual });
    $("actual").value = "";
    $("feedback-said").textContent = "Thank you, it is noted.";
  } catch (error) {
    if (error.way) askFor(error);
    $("feedback-said").textContent = [error.message, ...(error.errors ?? []).map(({ detail }) => detail)].join(": ");
    $("feedback").querySelector("button").disabled = state.last?.id !== id;
  }
}

// --- the key, and what goes wrong

function askFor({ way }) {
  state.accepted = false;
  $("key").hidden = !WAYS[way];
  if (!WAYS[way]) return;
  const { word } = WAYS[way];
  $("key-label").textContent = `${word[0].toUpperCase()}${word.slice(1)}`;
  $("key-about").textContent = secret.value
    ? `This ${word} is not accepted.`
    : `This endpoint asks for an ${word}. It stays in this tab and is forgotten when you close it.`;
  state.way = way;
  $("key-value").focus();
}

async function useKey(event) {
  event.preventDefault();
  secret.set(state.way, $("key-value").value.trim());
  $("key-value").value = "";
  state.accepted = true;
  await (state.card ? answer() : start());
  $("key").hidden = state.accepted;
  if (state.accepted && !$("page").hidden) $("model").focus(); // where the key was there is nothing any more
}

function loading(text, again = false) {
  $("loading").hidden = false;
  $("loading-text").textContent = text;
  $("again").hidden = !again;
}

function failed(error) {
  if (error.way) askFor(error);
  if (error.way === "signature") return loading("The endpoint asks for requests signed with AWS credentials, which a page in a browser does not have: call it from code.");
  return loading(error.way ? `The endpoint asks for an ${WAYS[error.way].word}.` : `The models cannot be read: ${error.message}.`, true);
}

const guarded = (action) => () => action().catch((error) => {
  if (!state.card) return failed(error);
  pick();
  return explain(error);
});

$("again").addEventListener("click", start);
$("key").addEventListener("submit", useKey);
$("feedback").addEventListener("submit", sendFeedback);
$("model").addEventListener("change", guarded(() => {
  const summary = state.models.find(({ name }) => name === $("model").value);
  return open(summary, summary.live ?? summary.versions.at(-1).version);
}));
$("version").addEventListener("change", guarded(() => open(state.summary, $("version").value)));
$("curve-feature").addEventListener("change", drawCurve);
$("reset").addEventListener("click", () => {
  state.form.fill(Object.fromEntries(state.card.features.map(({ name, example }) => [name, example])));
  answer();
});
$("share").addEventListener("click", () => {
  const values = new URLSearchParams(Object.entries(state.form.row).map(([name, value]) => [name, value ?? ""]));
  copy(`${location.origin}${location.pathname}#${state.card.name}/${state.card.version}?${values}`, $("share"));
});
new IntersectionObserver(([entry]) => { $("pin").hidden = entry.isIntersecting; }).observe($("answer"));
addEventListener("hashchange", guarded(fromAddress));

start();
