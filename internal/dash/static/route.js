import { useEffect, useState } from "preact/hooks";
function place() {
  const parts = location.pathname.replace(/^\/ui\/?/, "").split("/").filter(Boolean);
  return { path: parts.map(unescape), query: new URLSearchParams(location.search) };
}
function unescape(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
const wentOn = () => moved;
let moved = false;
const listeners = /* @__PURE__ */ new Set();
addEventListener("popstate", () => {
  moved = true;
  listeners.forEach((l) => l());
});
function go(url2, replace = false) {
  if (url2 === location.pathname + location.search + location.hash) return;
  if (!replace) moved = true;
  history[replace ? "replaceState" : "pushState"](null, "", url2);
  listeners.forEach((l) => l());
}
function usePlace() {
  const [at, set] = useState(place);
  useEffect(() => {
    const listen = () => set(place());
    listeners.add(listen);
    return () => void listeners.delete(listen);
  }, []);
  return at;
}
function setQuery(changes) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const text = query.toString();
  go(location.pathname + (text ? "?" + text : ""), true);
}
function url(...parts) {
  return "/ui/" + parts.map(encodeURIComponent).join("/");
}
document.addEventListener("click", (e) => {
  if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
  const a = e.target?.closest?.("a");
  if (!a || a.target || a.hasAttribute("download") || a.origin !== location.origin || !a.pathname.startsWith("/ui/")) return;
  if (a.hash && a.pathname === location.pathname && a.search === location.search) return;
  e.preventDefault();
  go(a.pathname + a.search + a.hash);
});
export {
  go,
  place,
  setQuery,
  url,
  usePlace,
  wentOn
};
