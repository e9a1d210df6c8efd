import { useCallback, useEffect, useRef, useState } from "preact/hooks";
class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
  status;
  code;
}
const base = "/admin/v1/";
let present;
const lost = /* @__PURE__ */ new Set();
function onLost(f) {
  lost.add(f);
  return () => void lost.delete(f);
}
const session = () => present;
const may = (what) => present?.may.includes(what) ?? false;
async function signIn(token) {
  present = (await call("POST", "session", { token })).session;
}
async function signOut() {
  await call("DELETE", "session");
  present = void 0;
  lost.forEach((f) => f());
}
async function resume() {
  try {
    present = (await call("GET", "session")).session;
    return true;
  } catch (e) {
    if (e instanceof ApiError && e.status === 401) return false;
    throw e;
  }
}
async function call(method, path, body, more = {}) {
  const headers = { ...more.headers };
  if (body !== void 0) headers["Content-Type"] ??= "application/json";
  let response;
  try {
    response = await fetch(base + path, { method, headers, body: body === void 0 ? void 0 : typeof body === "string" ? body : JSON.stringify(body), signal: more.signal, credentials: "same-origin" });
  } catch (e) {
    if (more.signal?.aborted) throw e;
    throw new ApiError(0, "unreachable", "The gateway does not answer. It may be restarting; this page tries again.");
  }
  const text = await response.text();
  if (!response.ok) {
    let problem = {};
    try {
      problem = JSON.parse(text);
    } catch {
    }
    const error = new ApiError(response.status, problem.error?.code ?? "http_" + response.status, problem.error?.message ?? response.statusText);
    if (response.status === 401 && !path.startsWith("session")) lost.forEach((f) => f());
    throw error;
  }
  return text ? JSON.parse(text) : void 0;
}
async function change(method, path, body) {
  const read = await fetch(base + path, { credentials: "same-origin" });
  const tag = read.headers.get("ETag");
  return await call(method, path, body, { headers: read.ok && tag ? { "If-Match": tag } : {} });
}
const get = (path, signal) => call("GET", path, void 0, { signal });
function query(path, values) {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== void 0 && value !== "" && value !== false) q.set(name, String(value));
  const text = q.toString();
  return text ? path + "?" + text : path;
}
function useApi(path, every = 0) {
  const [state, set] = useState({ path: null });
  const [turn, again] = useState(0);
  const reload = useCallback(() => again((n) => n + 1), []);
  const alive = useRef(true);
  useEffect(() => () => void (alive.current = false), []);
  useEffect(() => {
    if (path === null) return;
    const stop = new AbortController();
    let timer = 0;
    const load = async () => {
      if (document.hidden && every) {
        timer = window.setTimeout(load, every);
        return;
      }
      try {
        const data = await get(path, stop.signal);
        if (!stop.signal.aborted) set({ path, data });
      } catch (e) {
        if (stop.signal.aborted) return;
        const error = e instanceof ApiError ? e : new ApiError(0, "internal", String(e));
        set((was) => ({ path, data: was.path === path ? was.data : void 0, error }));
      }
      if (every && !stop.signal.aborted) timer = window.setTimeout(load, every);
    };
    void load();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [path, every, turn]);
  return { data: state.data, error: state.path === path ? state.error : void 0, loading: path !== null && state.path !== path, reload };
}
function useEvents(tell) {
  const [on, set] = useState(false);
  const latest = useRef(tell);
  latest.current = tell;
  useEffect(() => {
    let source, timer = 0;
    const open = () => {
      source = new EventSource(base + "events");
      source.onopen = () => set(true);
      source.onerror = () => {
        set(false);
        if (source?.readyState === EventSource.CLOSED) timer = window.setTimeout(open, 5e3);
      };
      source.addEventListener("counts", (e) => latest.current.counts?.(JSON.parse(e.data)));
      source.addEventListener("request", (e) => latest.current.request?.(JSON.parse(e.data)));
    };
    const turn = () => {
      clearTimeout(timer);
      source?.close();
      source = void 0;
      if (!document.hidden) open();
    };
    turn();
    document.addEventListener("visibilitychange", turn);
    return () => {
      document.removeEventListener("visibilitychange", turn);
      clearTimeout(timer);
      source?.close();
    };
  }, []);
  return on;
}
export {
  ApiError,
  call,
  change,
  get,
  may,
  onLost,
  query,
  resume,
  session,
  signIn,
  signOut,
  useApi,
  useEvents
};
