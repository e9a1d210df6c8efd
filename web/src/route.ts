// Where we are: the path below /ui/ and the query. Filters live in the query, so that a view can be sent to somebody.
import { useEffect, useState } from "preact/hooks";

export interface Place {
  /** The parts of the path below /ui/, decoded. */
  path: string[];
  query: URLSearchParams;
}

export function place(): Place {
  const parts = location.pathname.replace(/^\/ui\/?/, "").split("/").filter(Boolean);
  return { path: parts.map(unescape), query: new URLSearchParams(location.search) };
}

function unescape(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** wentOn says whether another place was gone to since the page was loaded: then its heading takes the focus. */
export const wentOn = () => moved;
let moved = false;

const listeners = new Set<() => void>();
addEventListener("popstate", () => {
  moved = true;
  listeners.forEach((l) => l());
});

/** go shows another place; replace leaves no step to go back to. */
export function go(url: string, replace = false): void {
  if (url === location.pathname + location.search + location.hash) return;
  if (!replace) moved = true;
  history[replace ? "replaceState" : "pushState"](null, "", url);
  listeners.forEach((l) => l());
}

export function usePlace(): Place {
  const [at, set] = useState(place);
  useEffect(() => {
    const listen = () => set(place());
    listeners.add(listen);
    return () => void listeners.delete(listen);
  }, []);
  return at;
}

/** setQuery changes parameters of the query; empty ones go. */
export function setQuery(changes: Record<string, string>): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const text = query.toString();
  go(location.pathname + (text ? "?" + text : ""), true);
}

/** url writes a path of the dashboard. */
export function url(...parts: string[]): string {
  return "/ui/" + parts.map(encodeURIComponent).join("/");
}

// Links within the dashboard do not load the page anew.
document.addEventListener("click", (e) => {
  if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
  const a = (e.target as Element | null)?.closest?.("a");
  if (!a || a.target || a.hasAttribute("download") || a.origin !== location.origin || !a.pathname.startsWith("/ui/")) return;
  if (a.hash && a.pathname === location.pathname && a.search === location.search) return;
  e.preventDefault();
  go(a.pathname + a.search + a.hash);
});
