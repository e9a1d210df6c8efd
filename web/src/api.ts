// The admin API, and what a page does while it waits for it.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { Problem, Pulse, Request, Session, SessionAnswer } from "./schema.js";

/** ApiError is an answer that is no success; code is the API's error class. */
export class ApiError extends Error {
  constructor(public status: number, public code: string, message: string) {
    super(message);
  }
}

const base = "/admin/v1/";

let present: Session | undefined;
const lost = new Set<() => void>();

/** onLost tells when the session has ended. */
export function onLost(f: () => void): () => void {
  lost.add(f);
  return () => void lost.delete(f);
}

/** session is who is signed in. */
export const session = () => present;

/** may says whether who is signed in may do something: a row of the table at /admin/v1/rights. */
export const may = (what: string) => present?.may.includes(what) ?? false;

/** signIn trades a token for a session, whose cookie no script can read. */
export async function signIn(token: string): Promise<void> {
  present = (await call<SessionAnswer>("POST", "session", { token })).session;
}

export async function signOut(): Promise<void> {
  await call("DELETE", "session");
  present = undefined;
  lost.forEach((f) => f());
}

/** resume says whether there is a session already. */
export async function resume(): Promise<boolean> {
  try {
    present = (await call<SessionAnswer>("GET", "session")).session;
    return true;
  } catch (e) {
    if (e instanceof ApiError && e.status === 401) return false;
    throw e;
  }
}

/** call asks the API. A body is sent as JSON; a string as it is. */
export async function call<T>(method: string, path: string, body?: unknown, more: { signal?: AbortSignal; headers?: Record<string, string> } = {}): Promise<T> {
  const headers: Record<string, string> = { ...more.headers };
  if (body !== undefined) headers["Content-Type"] ??= "application/json";
  let response: Response;
  try {
    response = await fetch(base + path, { method, headers, body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body), signal: more.signal, credentials: "same-origin" });
  } catch (e) {
    if (more.signal?.aborted) throw e;
    throw new ApiError(0, "unreachable", "The gateway does not answer. It may be restarting; this page tries again.");
  }
  const text = await response.text();
  if (!response.ok) {
    let problem: Partial<Problem> = {};
    try {
      problem = JSON.parse(text);
    } catch {
      // A proxy in front may answer with a page of its own.
    }
    const error = new ApiError(response.status, problem.error?.code ?? "http_" + response.status, problem.error?.message ?? response.statusText);
    if (response.status === 401 && !path.startsWith("session")) lost.forEach((f) => f());
    throw error;
  }
  return (text ? JSON.parse(text) : undefined) as T;
}

/** change writes what was read, if nobody has changed it meanwhile: path is read for its ETag first. */
export async function change<T>(method: "PUT" | "DELETE", path: string, body?: unknown): Promise<T> {
  const read = await fetch(base + path, { credentials: "same-origin" });
  const tag = read.headers.get("ETag");
  return await call<T>(method, path, body, { headers: read.ok && tag ? { "If-Match": tag } : {} });
}

export const get = <T>(path: string, signal?: AbortSignal) => call<T>("GET", path, undefined, { signal });

/** query writes parameters, leaving out empty ones. */
export function query(path: string, values: Record<string, string | number | boolean | undefined>): string {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== undefined && value !== "" && value !== false) q.set(name, String(value));
  const text = q.toString();
  return text ? path + "?" + text : path;
}

export interface Loaded<T> {
  data?: T;
  error?: ApiError;
  /** loading is true while the first answer, or that of another path, is waited for. */
  loading: boolean;
  reload: () => void;
}

/**
 * useApi keeps what a GET answers. What was there before stays while another path is asked; every asks again after so
 * many milliseconds, while the page is seen. A null path asks nothing.
 */
export function useApi<T>(path: string | null, every = 0): Loaded<T> {
  const [state, set] = useState<{ path: string | null; data?: T; error?: ApiError }>({ path: null });
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
        const data = await get<T>(path, stop.signal);
        if (!stop.signal.aborted) set({ path, data });
      } catch (e) {
        if (stop.signal.aborted) return;
        const error = e instanceof ApiError ? e : new ApiError(0, "internal", String(e));
        set((was) => ({ path, data: was.path === path ? was.data : undefined, error }));
      }
      if (every && !stop.signal.aborted) timer = window.setTimeout(load, every);
    };
    void load();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [path, every, turn]);
  return { data: state.data, error: state.path === path ? state.error : undefined, loading: path !== null && state.path !== path, reload };
}

/** useEvents follows what goes on; it says whether it is connected. Nobody is told of anything while the page is hidden. */
export function useEvents(tell: { counts?: (p: Pulse) => void; request?: (r: Request) => void }): boolean {
  const [on, set] = useState(false);
  const latest = useRef(tell);
  latest.current = tell;
  useEffect(() => {
    let source: EventSource | undefined, timer = 0;
    const open = () => {
      source = new EventSource(base + "events");
      source.onopen = () => set(true);
      source.onerror = () => {
        set(false);
        // A refusal ends the source for good; it is asked again, more slowly.
        if (source?.readyState === EventSource.CLOSED) timer = window.setTimeout(open, 5000);
      };
      source.addEventListener("counts", (e) => latest.current.counts?.(JSON.parse((e as MessageEvent<string>).data) as Pulse));
      source.addEventListener("request", (e) => latest.current.request?.(JSON.parse((e as MessageEvent<string>).data) as Request));
    };
    const turn = () => {
      clearTimeout(timer);
      source?.close();
      source = undefined;
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
