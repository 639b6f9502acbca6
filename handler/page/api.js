// The service over HTTP: every URL relative to the page, the caller's secret in this tab only, problems as errors.

const SLOW = 1200; // ms after which a person wonders

// How a caller proves itself: by which header, with what before the secret there, and the secret's name in code.
export const WAYS = {
  apiKey: { header: "x-api-key", before: "", name: "API_KEY", word: "API key" },
  token: { header: "authorization", before: "Bearer ", name: "TOKEN", word: "access token" },
};

export const secret = {
  get way() { return Object.keys(WAYS).find((way) => sessionStorage.getItem(way)); },
  get value() { return sessionStorage.getItem(this.way) ?? ""; },
  set(way, value) {
    for (const other of Object.keys(WAYS)) sessionStorage.removeItem(other);
    if (value) sessionStorage.setItem(way, value);
  },
};

// What an answer of 401 or 403 asks for. A signature of AWS is none of the ways: a page holds no AWS credentials.
function wanted(response, { error }) {
  if (/^bearer/i.test(response.headers.get("www-authenticate") ?? "")) return "token";
  return ["MissingAuthenticationToken", "InvalidSignature"].includes(error) ? "signature" : secret.way ?? "apiKey";
}

export class Problem extends Error {
  constructor(status, document, { retryAfter, way } = {}) {
    super(document.detail ?? document.message ?? document.title ?? `the service answered ${status}`);
    Object.assign(this, { status, errors: document.errors ?? [], name: document.error ?? "Problem", retryAfter, way });
  }

  get passing() { return [0, 429, 502, 503, 504].includes(this.status); }
}

async function once(path, options) {
  const headers = { accept: "application/json", ...options.headers };
  if (secret.value) headers[WAYS[secret.way].header] = WAYS[secret.way].before + secret.value;
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "the service does not answer: check the connection" });
  }
  const document = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new Problem(response.status, document, {
      retryAfter: Number(response.headers.get("retry-after")) || undefined,
      way: [401, 403].includes(response.status) ? wanted(response, document) : undefined,
    });
  }
  return document;
}

// Ask; `onSlow` is told when it takes long. A function that is waking or a model that loads gets a second chance.
export async function ask(path, { onSlow, again = true, ...options } = {}) {
  const timer = onSlow && setTimeout(onSlow, SLOW);
  try {
    return await once(path, options);
  } catch (error) {
    if (!(again && error.passing && error.status)) throw error;
    onSlow?.();
    await new Promise((resume) => { setTimeout(resume, Math.min(error.retryAfter ?? 1, 5) * 1000); });
    options.signal?.throwIfAborted();
    return await once(path, options);
  } finally {
    clearTimeout(timer);
  }
}

export const send = (path, body, options = {}) =>
  ask(path, { ...options, method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

// The field that a JSON pointer below /features names, if it does.
export function field(pointer) {
  const [, root, name] = pointer.split("/");
  return root === "features" && name !== undefined ? name.replaceAll("~1", "/").replaceAll("~0", "~") : null;
}

export function rowOf(pointer) {
  const [, root, row, name] = pointer.split("/");
  return root === "instances" ? [Number(row), name?.replaceAll("~1", "/").replaceAll("~0", "~")] : null;
}
