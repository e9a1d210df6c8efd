// The shell: signing in, the way around, and the page that the address names.
import { render, type ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { onLost, resume, session, signIn, signOut } from "./api.js";
import { go, url, usePlace, type Place } from "./route.js";
import { Button, Input, Page, Problem, Toast } from "./ui.js";

export type PageProps = { at: Place };
type Module = { default: ComponentType<PageProps> };

interface Entry {
  path: string;
  name: string;
  load: () => Promise<Module>;
  icon: string;
}

// Paths of icons on a field of 16 by 16.
const nav: { name: string; entries: Entry[] }[] = [
  { name: "Watch", entries: [
    { path: "", name: "Overview", load: () => import("./pages/overview.js"), icon: "M2 13.5h12M3.5 11V8M6.5 11V4M9.5 11V6.5M12.5 11V2.5" },
    { path: "requests", name: "Requests", load: () => import("./pages/requests.js"), icon: "M2.5 4h11M2.5 8h11M2.5 12h7" },
    { path: "models", name: "Models", load: () => import("./pages/models.js"), icon: "M8 1.8 13.5 5v6L8 14.2 2.5 11V5zM2.7 5.1 8 8.2l5.3-3.1M8 8.2v5.8" },
    { path: "routes", name: "Routes", load: () => import("./pages/routes.js"), icon: "M3 13V9.5a2 2 0 0 1 2-2h6a2 2 0 0 0 2-2V3M10.8 5 13 2.8 15.2 5M3 3v1.5" },
    { path: "experiments", name: "Experiments", load: () => import("./pages/experiments.js"), icon: "M6 2h4M6.8 2v4.2L3 12.6a1 1 0 0 0 .9 1.4h8.2a1 1 0 0 0 .9-1.4L9.2 6.2V2M5 10h6" },
    { path: "batches", name: "Batches", load: () => import("./pages/batches.js"), icon: "M2.5 5.5 8 3l5.5 2.5L8 8zM2.5 8.2 8 10.7l5.5-2.5M2.5 10.9 8 13.4l5.5-2.5" },
  ] },
  { name: "Use", entries: [
    { path: "playground", name: "Playground", load: () => import("./pages/playground.js"), icon: "M2.5 3.5h11v7.5H7l-3 2.5V11H2.5z" },
    { path: "connect", name: "Connect", load: () => import("./pages/connect.js"), icon: "M6.5 9.5 9.5 6.5M7 4.5l1.6-1.6a3 3 0 0 1 4.3 4.3L11.4 8.8M9 11.5l-1.6 1.6a3 3 0 0 1-4.3-4.3L4.6 7.2" },
  ] },
  { name: "Govern", entries: [
    { path: "keys", name: "Keys and teams", load: () => import("./pages/keys.js"), icon: "M10.5 2.5a3.3 3.3 0 1 0 0 6.6 3.3 3.3 0 0 0 0-6.6M8 8 2.5 13.5M4.5 11.5l1.6 1.6" },
    { path: "budgets", name: "Budgets", load: () => import("./pages/budgets.js"), icon: "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8M8 1.8V8l4.4 4.4" },
    { path: "providers", name: "Providers", load: () => import("./pages/providers.js"), icon: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.01M5 11h.01" },
    { path: "members", name: "People", load: () => import("./pages/members.js"), icon: "M6 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5M1.5 13.5c.3-2.6 2-4 4.5-4s4.2 1.4 4.5 4M10.5 2.8a2.4 2.4 0 0 1 0 4.5M12.3 9.8c1.3.6 2 1.9 2.2 3.7" },
    { path: "audit", name: "Audit", load: () => import("./pages/audit.js"), icon: "M8 1.8 13 4v4c0 3-2 5.2-5 6.2C5 13.2 3 11 3 8V4zM5.8 8l1.6 1.6L10.4 6.5" },
    { path: "settings", name: "Settings", load: () => import("./pages/settings.js"), icon: "M2.5 4.5h6M12 4.5h1.5M10 3v3M2.5 11.5H4M7.5 11.5h6M5.5 10v3" },
  ] },
];

const entries = nav.flatMap((g) => g.entries);

function Icon(p: { d: string }) {
  return <svg viewBox="0 0 16 16" aria-hidden="true"><path d={p.d} /></svg>;
}

function App() {
  const [state, set] = useState<"asking" | "out" | "in">("asking");
  const [broken, setBroken] = useState<unknown>();
  const ask = () => {
    setBroken(undefined);
    resume().then((yes) => set(yes ? "in" : "out"), setBroken);
  };
  useEffect(ask, []);
  useEffect(() => onLost(() => set("out")), []);
  return (
    <>
      {state === "in" ? <Shell /> : state === "out" ? <SignIn done={() => set("in")} /> : (
        <main class="boot"><span class="mark" /><b>Headrace</b>{broken !== undefined && <Problem error={broken} retry={ask} />}</main>
      )}
      <Toast />
    </>
  );
}

function SignIn(p: { done: () => void }) {
  const [secret, setSecret] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    document.title = "Sign in · Headrace";
  }, []);
  const send = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await signIn(secret.trim());
      p.done();
    } catch (e) {
      setError(e);
      setBusy(false);
    }
  };
  return (
    <main class="gate">
      <form class="panel" onSubmit={send}>
        <div class="brand"><span class="mark" />Headrace</div>
        <h1>Sign in</h1>
        {/* The name is for password managers, which keep nothing without one. */}
        <input type="text" name="username" autocomplete="username" value="admin" hidden readOnly />
        <Input label="Token" type="password" name="password" autocomplete="current-password" required autofocus value={secret} set={setSecret} spellcheck={false}
          hint={<>The admin token was shown once, at the first start, and begins with <code>hra-</code>. A new one: <code>headrace keys create NAME --admin</code></>} />
        {error !== undefined && <Problem error={error} />}
        <div><Button type="submit" kind="main" disabled={busy}>{busy ? "Signing in" : "Sign in"}</Button></div>
      </form>
    </main>
  );
}

function Shell() {
  const at = usePlace();
  const here = at.path[0] ?? "";
  const [open, setOpen] = useState(false);
  const menu = useRef<HTMLButtonElement>(null);
  const where = at.path.join("/");
  useEffect(() => {
    setOpen(false);
    scrollTo(0, 0);
  }, [where]);
  useEffect(() => {
    if (!open) return;
    const escape = (e: KeyboardEvent) => {
      if (e.key !== "Escape") return;
      setOpen(false);
      menu.current?.focus();
    };
    addEventListener("keydown", escape);
    return () => removeEventListener("keydown", escape);
  }, [open]);
  return (
    <div class="shell">
      <a class="skip" href="#main">To the content</a>
      <header class="top">
        <a class="brand" href="/ui/"><span class="mark" />Headrace</a>
        <button ref={menu} type="button" class="btn" aria-expanded={open} aria-controls="side" onClick={() => setOpen(!open)}>Menu</button>
      </header>
      <aside class={"side" + (open ? " open" : "")} id="side" aria-label="Sidebar">
        <div class="side-in">
          <a class="brand" href="/ui/"><span class="mark" />Headrace</a>
          <nav aria-label="Pages">
            {nav.map((g) => (
              <>
                <h2>{g.name}</h2>
                {g.entries.map((e) => <a href={url(e.path)} aria-current={e.path === here ? "page" : undefined}><Icon d={e.icon} />{e.name}</a>)}
              </>
            ))}
          </nav>
          <div class="side-foot">
            <span class="who small muted" title={session()?.role}>{session()?.name}</span>
            <Theme />
            <Button kind="quiet" onClick={() => void signOut()}>Sign out</Button>
          </div>
        </div>
      </aside>
      <main id="main" tabIndex={-1}><Current at={at} /></main>
    </div>
  );
}

const themes = ["system", "light", "dark"] as const;

function Theme() {
  const [theme, set] = useState<string>(document.documentElement.dataset.theme ?? "system");
  const turn = () => {
    const next = themes[(themes.indexOf(theme as (typeof themes)[number]) + 1) % themes.length]!;
    set(next);
    if (next === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("headrace.theme", next);
    } catch {
      // It lasts until the page is closed, then.
    }
    dispatchEvent(new Event("headrace-theme"));
  };
  return <Button kind="quiet" onClick={turn} label={"Theme: " + theme + ". Change"}>{theme === "system" ? "◐ System" : theme === "light" ? "○ Light" : "● Dark"}</Button>;
}

const loaded = new Map<string, ComponentType<PageProps>>();

/** Current is the page that the address names; the one before stays until it is there. */
function Current(p: { at: Place }) {
  const here = p.at.path[0] ?? "";
  const entry = entries.find((e) => e.path === here);
  const [, again] = useState(0);
  const [error, setError] = useState<unknown>();
  const shown = useRef<[string, Place]>(["", p.at]);
  useEffect(() => {
    setError(undefined);
    if (!entry || loaded.has(here)) return;
    entry.load().then((m) => {
      loaded.set(here, m.default);
      again((n) => n + 1);
    }, setError);
  }, [here]);
  if (!entry) {
    return <Page title="There is no such page"><p><a href="/ui/">To the overview</a></p></Page>;
  }
  if (error !== undefined) return <Problem error="This page could not be loaded." retry={() => location.reload()} />;
  if (loaded.has(here)) shown.current = [here, p.at];
  const [name, place] = shown.current;
  const View = loaded.get(name);
  return View ? <View at={place} key={name + "/" + (place.path[1] ?? "")} /> : <div class="page" aria-busy="true" />;
}

// An address without its last slash is the same place.
if (location.pathname === "/ui") go("/ui/", true);
const root = document.getElementById("app")!;
root.replaceChildren();
render(<App />, root);
