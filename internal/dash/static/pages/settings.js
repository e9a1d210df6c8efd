import { Fragment, jsx, jsxs } from "preact/jsx-runtime";
import { useState } from "preact/hooks";
import { call, change, may, useApi } from "../api.js";
import { brief, count, dollars, money, percent, span } from "../format.js";
import { setQuery, url } from "../route.js";
import { Ago, Button, Code, Dialog, Empty, Field, Figures, Input, Page, Panel, Problem, say, Shown, Table, Tag } from "../ui.js";
const tabs = [["", "Configuration"], ["effective", "In force"], ["history", "History"], ["about", "This gateway"]];
function Settings({ at }) {
  const view = at.query.get("view") ?? "";
  const config = useApi(view === "about" ? null : "config");
  return /* @__PURE__ */ jsxs(Page, { title: "Settings", lead: "The configuration is a file. What is changed here is checked, shown as a difference, written to the file and in force at once, or nothing happens.", children: [
    /* @__PURE__ */ jsx("div", { class: "tabs", role: "navigation", "aria-label": "Settings", children: tabs.map(([id, name]) => /* @__PURE__ */ jsx("a", { href: url("settings") + (id ? "?view=" + id : ""), "aria-current": view === id ? "page" : void 0, onClick: (e) => {
      e.preventDefault();
      setQuery({ view: id });
    }, children: name })) }),
    view === "about" ? /* @__PURE__ */ jsx(About, {}) : view === "history" ? /* @__PURE__ */ jsx(History, { done: config.reload }) : view === "effective" ? /* @__PURE__ */ jsx(Panel, { title: "Everything that is in force", children: /* @__PURE__ */ jsx(Shown, { from: config, height: 420, children: ({ config: c }) => /* @__PURE__ */ jsx(Code, { text: c.effective, label: "the configuration in force" }) }) }) : /* @__PURE__ */ jsx(Shown, { from: config, height: 520, children: ({ config: c }) => c.file ? /* @__PURE__ */ jsx(Edit, { text: c.text, file: c.file, why: c.writable ? "" : c.read_only ?? "The file cannot be written.", done: config.reload }, c.text) : /* @__PURE__ */ jsx(Panel, { label: "Configuration", children: /* @__PURE__ */ jsxs(Empty, { title: "There is no configuration file", children: [
      "Everything is as it comes, and providers are found in the environment. Write a file with ",
      /* @__PURE__ */ jsx("code", { children: "headrace init" }),
      " and start with ",
      /* @__PURE__ */ jsx("code", { children: "headrace serve --config headrace.yaml" }),
      "; then it can be changed here."
    ] }) }) })
  ] });
}
function Edit(p) {
  const [text, setText] = useState(p.text), [note, setNote] = useState("");
  const [check, setCheck] = useState();
  const [error, setError] = useState();
  const [busy, setBusy] = useState(false);
  const write = may("config.write") && !p.why;
  const run = async (what) => {
    setBusy(true);
    setError(void 0);
    try {
      await what();
    } catch (e) {
      setError(e);
    }
    setBusy(false);
  };
  const validate = () => run(async () => setCheck(await call("POST", "config/validate", { text, note })));
  const apply = () => run(async () => {
    const done = await change("PUT", "config", { text, note });
    setCheck(done);
    if (!done.ok) return;
    say("In force");
    setCheck(void 0);
    p.done();
  });
  const edit = (v) => {
    setText(v);
    setCheck(void 0);
  };
  return /* @__PURE__ */ jsxs(Fragment, { children: [
    /* @__PURE__ */ jsx(Panel, { title: /* @__PURE__ */ jsx("span", { class: "mono", children: p.file }), actions: text !== p.text && /* @__PURE__ */ jsx(Button, { kind: "quiet", onClick: () => edit(p.text), children: "Undo all" }), children: /* @__PURE__ */ jsxs("div", { class: "form", children: [
      p.why && /* @__PURE__ */ jsx("div", { class: "note warn", children: p.why }),
      /* @__PURE__ */ jsx(Field, { label: "Configuration, YAML", hint: /* @__PURE__ */ jsxs(Fragment, { children: [
        "Secrets are shown as ",
        /* @__PURE__ */ jsx("code", { children: "(kept …)" }),
        "; what still says so stays as it was. ",
        /* @__PURE__ */ jsx("code", { children: "${NAME}" }),
        " takes a variable of the environment."
      ] }), children: (id) => /* @__PURE__ */ jsx("textarea", { ...id, class: "mono editor", spellcheck: false, rows: Math.min(30, Math.max(12, text.split("\n").length + 1)), value: text, readOnly: !write, onInput: (e) => edit(e.currentTarget.value) }) }),
      /* @__PURE__ */ jsxs("div", { class: "between", children: [
        write ? /* @__PURE__ */ jsx(Input, { wide: true, label: "Note for the history", value: note, set: setNote, maxLength: 200, placeholder: "why" }) : /* @__PURE__ */ jsx("span", {}),
        /* @__PURE__ */ jsxs("div", { class: "row", children: [
          /* @__PURE__ */ jsx(Button, { onClick: () => void validate(), disabled: busy, children: "Check" }),
          write && /* @__PURE__ */ jsx(Button, { kind: "main", onClick: () => void apply(), disabled: busy || !check?.ok || !check.diff, children: "Apply" })
        ] })
      ] }),
      write && !check && text !== p.text && /* @__PURE__ */ jsx("p", { class: "small muted", children: "Check it first: then you see what would change." }),
      error !== void 0 && /* @__PURE__ */ jsx(Problem, { error })
    ] }) }),
    check && /* @__PURE__ */ jsx(Checked, { c: check }),
    check?.ok && check.diff && may("requests.read") && /* @__PURE__ */ jsx(Again, { text })
  ] });
}
function Checked({ c }) {
  return /* @__PURE__ */ jsx(Panel, { title: c.ok ? c.diff ? "What would change" : "Nothing would change" : "It would not be taken", actions: /* @__PURE__ */ jsx(Tag, { dot: true, tone: c.ok ? "ok" : "bad", children: c.ok ? "valid" : c.problems.length + " wrong" }), children: /* @__PURE__ */ jsxs("div", { class: "stack", role: "status", children: [
    c.problems.length > 0 && /* @__PURE__ */ jsx("ul", { class: "tight", style: { listStyle: "none" }, children: c.problems.map((x) => /* @__PURE__ */ jsxs("li", { class: "note bad", children: [
      /* @__PURE__ */ jsx("b", { children: x.line ? `Line ${x.line}${x.column ? ", column " + x.column : ""}` : x.path || "The file" }),
      x.line && x.path ? /* @__PURE__ */ jsxs("span", { class: "mono muted", children: [
        " ",
        x.path
      ] }) : null,
      /* @__PURE__ */ jsx("div", { class: "wrap", children: x.message }),
      x.source && /* @__PURE__ */ jsx("pre", { class: "small muted wrap", children: x.source })
    ] })) }),
    c.diff && /* @__PURE__ */ jsx(Diff, { text: c.diff }),
    c.later.length > 0 && /* @__PURE__ */ jsxs("div", { class: "note warn", children: [
      "At the next start only: ",
      c.later.join(", ")
    ] }),
    c.notes.map((n) => /* @__PURE__ */ jsx("div", { class: "note", children: n })),
    c.ok && !c.diff && /* @__PURE__ */ jsx("p", { class: "muted", children: "The text says what is in force already." })
  ] }) });
}
function Again({ text }) {
  const [done, setDone] = useState();
  const [error, setError] = useState();
  const [busy, setBusy] = useState(false);
  const run = async () => {
    setBusy(true);
    setError(void 0);
    try {
      setDone(await call("POST", "replay?since=7d", { config: text }));
    } catch (e) {
      setError(e);
    }
    setBusy(false);
  };
  const pair = (was, is, show) => is ? /* @__PURE__ */ jsxs(Fragment, { children: [
    show(is.value),
    /* @__PURE__ */ jsxs("span", { class: "small muted", children: [
      " was ",
      was ? show(was.value) : "–"
    ] })
  ] }) : "–";
  const within = (b, show) => b ? `between ${show(b.low)} and ${show(b.high)}` : "nothing is known";
  return /* @__PURE__ */ jsxs(Panel, { title: "What the last 7 days would have come to", actions: /* @__PURE__ */ jsx(Button, { onClick: () => void run(), disabled: busy, children: busy ? "Working it out" : "Work it out" }), children: [
    error !== void 0 && /* @__PURE__ */ jsx(Problem, { error }),
    !done ? /* @__PURE__ */ jsx("p", { class: "muted", children: "Every request of the last week, decided again under this configuration; nobody is asked." }) : /* @__PURE__ */ jsxs("div", { class: "stack", role: "status", children: [
      /* @__PURE__ */ jsx(Figures, { items: [
        { name: "Requests", value: count(done.requests), note: `${count(done.changed)} would go elsewhere, ${count(done.refused)} nowhere` },
        { name: "Success", value: pair(done.success_was, done.success, (v) => percent(v)), note: within(done.success, (v) => percent(v)) },
        { name: "A request costs", value: pair(done.cost_was, done.cost, dollars), note: within(done.cost, dollars) },
        { name: "Latency", value: pair(done.latency_was, done.latency, (v) => span(v * 1e3)), note: within(done.latency, (v) => span(v * 1e3)) }
      ] }),
      done.changes.length > 0 && /* @__PURE__ */ jsx(Table, { label: "Requests that would go elsewhere", rows: done.changes.slice(0, 20), id: (c) => c.id, columns: [
        { name: "Time", cell: (c) => /* @__PURE__ */ jsx("a", { class: "nowrap", href: url("requests", c.id), children: brief(c.start) }) },
        { name: "Asked for", low: true, cell: (c) => /* @__PURE__ */ jsx("span", { class: "mono nowrap", children: c.asked }) },
        { name: "From → to", cell: (c) => /* @__PURE__ */ jsxs("span", { class: "mono nowrap", children: [
          c.from,
          " → ",
          c.to || /* @__PURE__ */ jsx("span", { class: "bad", children: "nowhere" })
        ] }) },
        { name: "Cost", num: true, cell: (c) => /* @__PURE__ */ jsxs("span", { class: "nowrap", children: [
          c.cost_was_nanodollars === void 0 ? "–" : money(c.cost_was_nanodollars),
          " → ",
          c.cost_nanodollars === void 0 ? "–" : money(c.cost_nanodollars)
        ] }) },
        { name: "Why", low: true, cell: (c) => c.why }
      ] }),
      done.notes.map((n) => /* @__PURE__ */ jsx("p", { class: "small muted", children: n }))
    ] })
  ] });
}
function Diff({ text }) {
  return /* @__PURE__ */ jsx("div", { class: "diff code", tabIndex: 0, role: "group", "aria-label": "Difference", children: text.replace(/\n$/, "").split("\n").map((l) => /* @__PURE__ */ jsx("div", { class: /^\+(?!\+\+)/.test(l) ? "add" : /^-(?!--)/.test(l) ? "del" : /^(@@|\+\+\+|---)/.test(l) ? "muted" : void 0, children: l || " " })) });
}
function History(p) {
  const list = useApi("config/history");
  const [shown, show] = useState();
  return /* @__PURE__ */ jsxs(Panel, { flush: true, title: "Configurations that were in force", children: [
    /* @__PURE__ */ jsx(Shown, { from: list, height: 260, children: ({ versions: rows }) => rows.length ? /* @__PURE__ */ jsx(Table, { label: "History", rows, id: (v) => v.id, columns: [
      { name: "Since", cell: (v) => /* @__PURE__ */ jsx("span", { class: "nowrap", children: brief(v.at) }) },
      { name: "By", cell: (v) => v.by },
      { name: "Why", cell: (v) => /* @__PURE__ */ jsx("span", { class: "wrap", children: v.why || "–" }) },
      { name: "SHA-256", low: true, cell: (v) => /* @__PURE__ */ jsx("span", { class: "mono muted", children: v.sum.slice(0, 12) }) },
      { name: /* @__PURE__ */ jsx("span", { class: "sr", children: "What to do" }), num: true, cell: (v) => v.current ? /* @__PURE__ */ jsx(Tag, { tone: "ok", dot: true, children: "in force" }) : /* @__PURE__ */ jsx(Button, { slim: true, onClick: () => show(v), label: "Look at number " + v.id, children: "Look" }) }
    ] }) : /* @__PURE__ */ jsx(Empty, { title: "There is no history yet", children: "Each configuration that comes into force is kept here, so that one can go back to it." }) }),
    shown && /* @__PURE__ */ jsx(Past, { v: shown, close: () => show(void 0), done: () => {
      show(void 0);
      list.reload();
      p.done();
    } })
  ] });
}
function Past(p) {
  const past = useApi("config/history/" + p.v.id);
  return /* @__PURE__ */ jsx(Dialog, { title: "In force since " + brief(p.v.at), wide: true, close: p.close, action: "Go back to it", danger: true, submit: may("config.write") ? async () => {
    const read = await fetch("/admin/v1/config", { credentials: "same-origin" });
    const done = await call("POST", "config/rollback", { id: p.v.id }, { headers: { "If-Match": read.headers.get("ETag") ?? "" } });
    if (!done.ok) throw new Error(done.problems.map((x) => x.message).join("; "));
    say("In force");
    p.done();
  } : void 0, children: /* @__PURE__ */ jsx(Shown, { from: past, height: 240, children: (c) => c.diff ? /* @__PURE__ */ jsxs(Fragment, { children: [
    /* @__PURE__ */ jsx("p", { children: "Going back would change:" }),
    /* @__PURE__ */ jsx(Diff, { text: c.diff })
  ] }) : /* @__PURE__ */ jsx("p", { children: "It says the same as what is in force." }) }) });
}
function About() {
  const status = useApi("status", 3e3);
  return /* @__PURE__ */ jsx(Shown, { from: status, height: 300, children: (s) => /* @__PURE__ */ jsxs(Fragment, { children: [
    /* @__PURE__ */ jsx(Panel, { title: "This gateway", children: /* @__PURE__ */ jsxs("dl", { class: "kv", children: [
      /* @__PURE__ */ jsx("dt", { children: "Version" }),
      /* @__PURE__ */ jsx("dd", { children: s.version }),
      /* @__PURE__ */ jsx("dt", { children: "Listens on" }),
      /* @__PURE__ */ jsx("dd", { class: "mono", children: s.listen }),
      /* @__PURE__ */ jsx("dt", { children: "State" }),
      /* @__PURE__ */ jsx("dd", { class: "mono", children: s.data }),
      /* @__PURE__ */ jsx("dt", { children: "Configuration" }),
      /* @__PURE__ */ jsx("dd", { class: "mono", children: s.config || "none" }),
      /* @__PURE__ */ jsx("dt", { children: "Started" }),
      /* @__PURE__ */ jsxs("dd", { children: [
        brief(s.started),
        " (",
        /* @__PURE__ */ jsx(Ago, { at: s.started }),
        "), ",
        span(Date.now() - new Date(s.started).getTime()),
        " ago"
      ] }),
      /* @__PURE__ */ jsx("dt", { children: "Ready" }),
      /* @__PURE__ */ jsx("dd", { children: s.ready ? /* @__PURE__ */ jsx(Tag, { tone: "ok", dot: true, children: "yes" }) : /* @__PURE__ */ jsx(Tag, { tone: "warn", dot: true, children: "no" }) }),
      /* @__PURE__ */ jsx("dt", { children: "Running" }),
      /* @__PURE__ */ jsxs("dd", { children: [
        s.load.running,
        s.load.limit ? " of " + s.load.limit : "",
        ", ",
        s.load.waiting,
        " waiting, ",
        s.streams,
        " streams"
      ] }),
      /* @__PURE__ */ jsx("dt", { children: "Ledger" }),
      /* @__PURE__ */ jsxs("dd", { children: [
        s.ledger_waiting,
        " rows wait to be written, ",
        s.ledger_dropped,
        " lost"
      ] })
    ] }) }),
    s.notes.length > 0 && /* @__PURE__ */ jsx(Panel, { title: "To know", children: /* @__PURE__ */ jsx("ul", { class: "tight", style: { paddingLeft: "18px" }, children: s.notes.map((n) => /* @__PURE__ */ jsx("li", { class: "wrap", children: n })) }) })
  ] }) });
}
export {
  Settings as default
};
