import { Fragment, jsx, jsxs } from "preact/jsx-runtime";
import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { onLost, resume, session, signIn, signOut } from "./api.js";
import { go, url, usePlace } from "./route.js";
import { Button, Input, Page, Problem, Toast } from "./ui.js";
const nav = [
  { name: "Watch", entries: [
    { path: "", name: "Overview", load: () => import("./pages/overview.js"), icon: "M2 13.5h12M3.5 11V8M6.5 11V4M9.5 11V6.5M12.5 11V2.5" },
    { path: "requests", name: "Requests", load: () => import("./pages/requests.js"), icon: "M2.5 4h11M2.5 8h11M2.5 12h7" },
    { path: "models", name: "Models", load: () => import("./pages/models.js"), icon: "M8 1.8 13.5 5v6L8 14.2 2.5 11V5zM2.7 5.1 8 8.2l5.3-3.1M8 8.2v5.8" },
    { path: "routes", name: "Routes", load: () => import("./pages/routes.js"), icon: "M3 13V9.5a2 2 0 0 1 2-2h6a2 2 0 0 0 2-2V3M10.8 5 13 2.8 15.2 5M3 3v1.5" },
    { path: "experiments", name: "Experiments", load: () => import("./pages/experiments.js"), icon: "M6 2h4M6.8 2v4.2L3 12.6a1 1 0 0 0 .9 1.4h8.2a1 1 0 0 0 .9-1.4L9.2 6.2V2M5 10h6" },
    { path: "batches", name: "Batches", load: () => import("./pages/batches.js"), icon: "M2.5 5.5 8 3l5.5 2.5L8 8zM2.5 8.2 8 10.7l5.5-2.5M2.5 10.9 8 13.4l5.5-2.5" }
  ] },
  { name: "Use", entries: [
    { path: "playground", name: "Playground", load: () => import("./pages/playground.js"), icon: "M2.5 3.5h11v7.5H7l-3 2.5V11H2.5z" },
    { path: "connect", name: "Connect", load: () => import("./pages/connect.js"), icon: "M6.5 9.5 9.5 6.5M7 4.5l1.6-1.6a3 3 0 0 1 4.3 4.3L11.4 8.8M9 11.5l-1.6 1.6a3 3 0 0 1-4.3-4.3L4.6 7.2" }
  ] },
  { name: "Govern", entries: [
    { path: "keys", name: "Keys and teams", load: () => import("./pages/keys.js"), icon: "M10.5 2.5a3.3 3.3 0 1 0 0 6.6 3.3 3.3 0 0 0 0-6.6M8 8 2.5 13.5M4.5 11.5l1.6 1.6" },
    { path: "budgets", name: "Budgets", load: () => import("./pages/budgets.js"), icon: "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8M8 1.8V8l4.4 4.4" },
    { path: "providers", name: "Providers", load: () => import("./pages/providers.js"), icon: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.01M5 11h.01" },
    { path: "members", name: "People", load: () => import("./pages/members.js"), icon: "M6 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5M1.5 13.5c.3-2.6 2-4 4.5-4s4.2 1.4 4.5 4M10.5 2.8a2.4 2.4 0 0 1 0 4.5M12.3 9.8c1.3.6 2 1.9 2.2 3.7" },
    { path: "audit", name: "Audit", load: () => import("./pages/audit.js"), icon: "M8 1.8 13 4v4c0 3-2 5.2-5 6.2C5 13.2 3 11 3 8V4zM5.8 8l1.6 1.6L10.4 6.5" },
    { path: "settings", name: "Settings", load: () => import("./pages/settings.js"), icon: "M2.5 4.5h6M12 4.5h1.5M10 3v3M2.5 11.5H4M7.5 11.5h6M5.5 10v3" }
  ] }
];
const entries = nav.flatMap((g) => g.entries);
function Icon(p) {
  return /* @__PURE__ */ jsx("svg", { viewBox: "0 0 16 16", "aria-hidden": "true", children: /* @__PURE__ */ jsx("path", { d: p.d }) });
}
function App() {
  const [state, set] = useState("asking");
  const [broken, setBroken] = useState();
  const ask = () => {
    setBroken(void 0);
    resume().then((yes) => set(yes ? "in" : "out"), setBroken);
  };
  useEffect(ask, []);
  useEffect(() => onLost(() => set("out")), []);
  return /* @__PURE__ */ jsxs(Fragment, { children: [
    state === "in" ? /* @__PURE__ */ jsx(Shell, {}) : state === "out" ? /* @__PURE__ */ jsx(SignIn, { done: () => set("in") }) : /* @__PURE__ */ jsxs("main", { class: "boot", children: [
      /* @__PURE__ */ jsx("span", { class: "mark" }),
      /* @__PURE__ */ jsx("b", { children: "Headrace" }),
      broken !== void 0 && /* @__PURE__ */ jsx(Problem, { error: broken, retry: ask })
    ] }),
    /* @__PURE__ */ jsx(Toast, {})
  ] });
}
function SignIn(p) {
  const [secret, setSecret] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState();
  useEffect(() => {
    document.title = "Sign in · Headrace";
  }, []);
  const send = async (e) => {
    e.preventDefault();
    setBusy(true);
    setError(void 0);
    try {
      await signIn(secret.trim());
      p.done();
    } catch (e2) {
      setError(e2);
      setBusy(false);
    }
  };
  return /* @__PURE__ */ jsx("main", { class: "gate", children: /* @__PURE__ */ jsxs("form", { class: "panel", onSubmit: send, children: [
    /* @__PURE__ */ jsxs("div", { class: "brand", children: [
      /* @__PURE__ */ jsx("span", { class: "mark" }),
      "Headrace"
    ] }),
    /* @__PURE__ */ jsx("h1", { children: "Sign in" }),
    /* @__PURE__ */ jsx("input", { type: "text", name: "username", autocomplete: "username", value: "admin", hidden: true, readOnly: true }),
    /* @__PURE__ */ jsx(
      Input,
      {
        label: "Token",
        type: "password",
        name: "password",
        autocomplete: "current-password",
        required: true,
        autofocus: true,
        value: secret,
        set: setSecret,
        spellcheck: false,
        hint: /* @__PURE__ */ jsxs(Fragment, { children: [
          "The admin token was shown once, at the first start, and begins with ",
          /* @__PURE__ */ jsx("code", { children: "hra-" }),
          ". A new one: ",
          /* @__PURE__ */ jsx("code", { children: "headrace keys create NAME --admin" })
        ] })
      }
    ),
    error !== void 0 && /* @__PURE__ */ jsx(Problem, { error }),
    /* @__PURE__ */ jsx("div", { children: /* @__PURE__ */ jsx(Button, { type: "submit", kind: "main", disabled: busy, children: busy ? "Signing in" : "Sign in" }) })
  ] }) });
}
function Shell() {
  const at = usePlace();
  const here = at.path[0] ?? "";
  const [open, setOpen] = useState(false);
  const menu = useRef(null);
  const where = at.path.join("/");
  useEffect(() => {
    setOpen(false);
    scrollTo(0, 0);
  }, [where]);
  useEffect(() => {
    if (!open) return;
    const escape = (e) => {
      if (e.key !== "Escape") return;
      setOpen(false);
      menu.current?.focus();
    };
    addEventListener("keydown", escape);
    return () => removeEventListener("keydown", escape);
  }, [open]);
  return /* @__PURE__ */ jsxs("div", { class: "shell", children: [
    /* @__PURE__ */ jsx("a", { class: "skip", href: "#main", children: "To the content" }),
    /* @__PURE__ */ jsxs("header", { class: "top", children: [
      /* @__PURE__ */ jsxs("a", { class: "brand", href: "/ui/", children: [
        /* @__PURE__ */ jsx("span", { class: "mark" }),
        "Headrace"
      ] }),
      /* @__PURE__ */ jsx("button", { ref: menu, type: "button", class: "btn", "aria-expanded": open, "aria-controls": "side", onClick: () => setOpen(!open), children: "Menu" })
    ] }),
    /* @__PURE__ */ jsx("aside", { class: "side" + (open ? " open" : ""), id: "side", "aria-label": "Sidebar", children: /* @__PURE__ */ jsxs("div", { class: "side-in", children: [
      /* @__PURE__ */ jsxs("a", { class: "brand", href: "/ui/", children: [
        /* @__PURE__ */ jsx("span", { class: "mark" }),
        "Headrace"
      ] }),
      /* @__PURE__ */ jsx("nav", { "aria-label": "Pages", children: nav.map((g) => /* @__PURE__ */ jsxs(Fragment, { children: [
        /* @__PURE__ */ jsx("h2", { children: g.name }),
        g.entries.map((e) => /* @__PURE__ */ jsxs("a", { href: url(e.path), "aria-current": e.path === here ? "page" : void 0, children: [
          /* @__PURE__ */ jsx(Icon, { d: e.icon }),
          e.name
        ] }))
      ] })) }),
      /* @__PURE__ */ jsxs("div", { class: "side-foot", children: [
        /* @__PURE__ */ jsx("span", { class: "who small muted", title: session()?.role, children: session()?.name }),
        /* @__PURE__ */ jsx(Theme, {}),
        /* @__PURE__ */ jsx(Button, { kind: "quiet", onClick: () => void signOut(), children: "Sign out" })
      ] })
    ] }) }),
    /* @__PURE__ */ jsx("main", { id: "main", tabIndex: -1, children: /* @__PURE__ */ jsx(Current, { at }) })
  ] });
}
const themes = ["system", "light", "dark"];
function Theme() {
  const [theme, set] = useState(document.documentElement.dataset.theme ?? "system");
  const turn = () => {
    const next = themes[(themes.indexOf(theme) + 1) % themes.length];
    set(next);
    if (next === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("headrace.theme", next);
    } catch {
    }
    dispatchEvent(new Event("headrace-theme"));
  };
  return /* @__PURE__ */ jsx(Button, { kind: "quiet", onClick: turn, label: "Theme: " + theme + ". Change", children: theme === "system" ? "◐ System" : theme === "light" ? "○ Light" : "● Dark" });
}
const loaded = /* @__PURE__ */ new Map();
function Current(p) {
  const here = p.at.path[0] ?? "";
  const entry = entries.find((e) => e.path === here);
  const [, again] = useState(0);
  const [error, setError] = useState();
  const shown = useRef(["", p.at]);
  useEffect(() => {
    setError(void 0);
    if (!entry || loaded.has(here)) return;
    entry.load().then((m) => {
      loaded.set(here, m.default);
      again((n) => n + 1);
    }, setError);
  }, [here]);
  if (!entry) {
    return /* @__PURE__ */ jsx(Page, { title: "There is no such page", children: /* @__PURE__ */ jsx("p", { children: /* @__PURE__ */ jsx("a", { href: "/ui/", children: "To the overview" }) }) });
  }
  if (error !== void 0) return /* @__PURE__ */ jsx(Problem, { error: "This page could not be loaded.", retry: () => location.reload() });
  if (loaded.has(here)) shown.current = [here, p.at];
  const [name, place] = shown.current;
  const View = loaded.get(name);
  return View ? /* @__PURE__ */ jsx(View, { at: place }, name + "/" + (place.path[1] ?? "")) : /* @__PURE__ */ jsx("div", { class: "page", "aria-busy": "true" });
}
if (location.pathname === "/ui") go("/ui/", true);
const root = document.getElementById("app");
root.replaceChildren();
render(/* @__PURE__ */ jsx(App, {}), root);
