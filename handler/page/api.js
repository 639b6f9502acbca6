// The service over HTTP: every URL relative to the page, the key in this tab only, problems as errors.

const KEY = "api-key";
const SLOW = 1200; // ms after which a person wonders
export const KEY_HEADER = "x-api-key";

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

export class Problem extends Error {
  constructor(status, document, retryAfter) {
    super(document.detail ?? document.message ?? document.title ?? `the service answered ${status}`);
    Object.assign(this, { status, errors: document.errors ?? [], name: document.error ?? "Problem", retryAfter });
  }

  get wantsKey() { return this.status === 401 || this.status === 403; }
  get passing() { return [0, 429, 502, 503, 504].includes(this.status); }
}

async function once(path, options) {
  const headers = { accept: "application/json", ...options.headers };
  if (key.get()) headers[KEY_HEADER] = key.get();
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "the service does not answer: check the connection" });
  }
  const document = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(response.status, document, Number(response.headers.get("retry-after")) || undefined);
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
