import { Fragment, jsx, jsxs } from "preact/jsx-runtime";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ApiError } from "./api.js";
import { ago, moment } from "./format.js";
import { wentOn } from "./route.js";
function Page(p) {
  const heading = useRef(null);
  useEffect(() => {
    document.title = p.title + " · Headrace";
  }, [p.title]);
  useEffect(() => {
    if (wentOn() && (document.activeElement === document.body || document.activeElement?.closest("nav, a"))) heading.current?.focus({ preventScroll: true });
  }, []);
  return /* @__PURE__ */ jsxs("div", { class: "page", children: [
    /* @__PURE__ */ jsxs("header", { children: [
      /* @__PURE__ */ jsxs("div", { class: "grow", children: [
        /* @__PURE__ */ jsx("h1", { ref: heading, tabIndex: -1, children: p.name ?? p.title }),
        p.lead && /* @__PURE__ */ jsx("p", { children: p.lead })
      ] }),
      p.actions && /* @__PURE__ */ jsx("div", { class: "row", children: p.actions })
    ] }),
    p.children
  ] });
}
function Panel(p) {
  const id = useId();
  return /* @__PURE__ */ jsxs("section", { class: "panel " + (p.class ?? ""), "aria-labelledby": p.title ? id : void 0, "aria-label": p.title ? void 0 : p.label, children: [
    (p.title || p.actions) && /* @__PURE__ */ jsxs("header", { children: [
      /* @__PURE__ */ jsx("h2", { id, children: p.title }),
      p.actions && /* @__PURE__ */ jsx("div", { class: "row", children: p.actions })
    ] }),
    p.flush ? p.children : /* @__PURE__ */ jsx("div", { class: "in", children: p.children }),
    p.foot && /* @__PURE__ */ jsx("footer", { class: "small", children: p.foot })
  ] });
}
function Figures(p) {
  return /* @__PURE__ */ jsx("dl", { class: "figures", children: p.items.map((i) => /* @__PURE__ */ jsxs("div", { class: "figure", title: i.title, children: [
    /* @__PURE__ */ jsx("dt", { children: i.name }),
    /* @__PURE__ */ jsx("dd", { class: "v " + (i.tone ?? ""), children: i.value }),
    i.note !== void 0 && /* @__PURE__ */ jsx("dd", { class: "n", children: i.note })
  ] }, i.name)) });
}
function Tag(p) {
  return /* @__PURE__ */ jsxs("span", { class: "tag " + (p.tone ?? ""), title: p.title, children: [
    p.dot && /* @__PURE__ */ jsx("span", { class: "dot" }),
    p.children
  ] });
}
function Button(p) {
  return /* @__PURE__ */ jsx("button", { type: p.type ?? "button", class: "btn " + (p.kind ?? "") + (p.slim ? " slim" : ""), onClick: p.onClick, disabled: p.disabled, title: p.title, "aria-label": p.label, children: p.children });
}
function Table(p) {
  const [sort, setSort] = useState(p.sort);
  const by = sort && p.columns[sort[0]]?.by;
  const rows = by ? [...p.rows].sort((a, b) => order(by(a), by(b)) * sort[1]) : p.rows;
  return /* @__PURE__ */ jsx("div", { class: "scroll" + (p.loading ? " loading" : ""), role: "group", "aria-label": p.label, tabIndex: 0, children: /* @__PURE__ */ jsxs("table", { children: [
    /* @__PURE__ */ jsx("caption", { class: "sr", children: p.label }),
    /* @__PURE__ */ jsx("thead", { children: /* @__PURE__ */ jsx("tr", { children: p.columns.map((c, i) => /* @__PURE__ */ jsx("th", { scope: "col", class: classes(c), "aria-sort": sort && sort[0] === i ? sort[1] === 1 ? "ascending" : "descending" : void 0, children: c.by ? /* @__PURE__ */ jsxs("button", { type: "button", class: "sort", onClick: () => setSort([i, sort && sort[0] === i ? -sort[1] : c.num ? -1 : 1]), children: [
      c.name,
      " ",
      sort && sort[0] === i ? /* @__PURE__ */ jsx("span", { "aria-hidden": "true", children: sort[1] === 1 ? "↑" : "↓" }) : null
    ] }) : c.name })) }) }),
    /* @__PURE__ */ jsx("tbody", { children: rows.map((row) => /* @__PURE__ */ jsx("tr", { class: p.dim?.(row) ? "dim" : void 0, children: p.columns.map((c, i) => i === 0 ? /* @__PURE__ */ jsx("th", { scope: "row", class: classes(c), children: c.cell(row) }) : /* @__PURE__ */ jsx("td", { class: classes(c), children: c.cell(row) })) }, p.id(row))) }),
    p.foot
  ] }) });
}
const classes = (c) => [c.num ? "num" : "", c.low ? "lo" : "", c.class ?? ""].join(" ").trim() || void 0;
function order(a, b) {
  return typeof a === "string" ? a.localeCompare(String(b), "en", { numeric: true }) : a - Number(b);
}
function Empty(p) {
  return /* @__PURE__ */ jsxs("div", { class: "empty", children: [
    /* @__PURE__ */ jsx("h3", { children: p.title }),
    /* @__PURE__ */ jsx("p", { children: p.children }),
    p.actions && /* @__PURE__ */ jsx("div", { class: "row", children: p.actions })
  ] });
}
function Shown(p) {
  const { data, error, reload } = p.from;
  return /* @__PURE__ */ jsxs(Fragment, { children: [
    error && /* @__PURE__ */ jsx(Problem, { error, retry: reload }),
    data !== void 0 ? p.children(data) : !error && /* @__PURE__ */ jsx("div", { class: "skeleton", style: { minHeight: (p.height ?? 160) + "px" }, "aria-busy": "true", children: /* @__PURE__ */ jsx("span", { class: "sr", children: "Loading" }) })
  ] });
}
function Problem(p) {
  const e = p.error;
  return /* @__PURE__ */ jsxs("div", { class: "note bad between", role: "alert", children: [
    /* @__PURE__ */ jsx("span", { class: "wrap", children: e instanceof ApiError || e instanceof Error ? e.message : String(e) }),
    p.retry && /* @__PURE__ */ jsx(Button, { slim: true, onClick: p.retry, children: "Try again" })
  ] });
}
function Field(p) {
  const id = useId();
  return /* @__PURE__ */ jsxs("div", { class: "field" + (p.wide ? " wide" : ""), children: [
    /* @__PURE__ */ jsx("label", { for: id, children: p.label }),
    p.children({ id, "aria-describedby": p.hint ? id + "-hint" : void 0 }),
    p.hint && /* @__PURE__ */ jsx("span", { class: "hint", id: id + "-hint", children: p.hint })
  ] });
}
function Input(p) {
  const { label, value, set, hint, wide, ...rest } = p;
  return /* @__PURE__ */ jsx(Field, { label, hint, wide, children: (id) => /* @__PURE__ */ jsx("input", { ...rest, ...id, value, onInput: (e) => set(e.currentTarget.value) }) });
}
function Select(p) {
  return /* @__PURE__ */ jsx(Field, { label: p.label, hint: p.hint, wide: p.wide, children: (id) => /* @__PURE__ */ jsx("select", { ...id, value: p.value, onChange: (e) => p.set(e.currentTarget.value), children: p.options.map((o) => {
    const [value, name] = typeof o === "string" ? [o, o] : o;
    return /* @__PURE__ */ jsx("option", { value, selected: value === p.value, children: name });
  }) }) });
}
function Check(p) {
  const id = useId();
  return /* @__PURE__ */ jsxs("div", { class: "check", children: [
    /* @__PURE__ */ jsx("input", { id, type: "checkbox", checked: p.value, onChange: (e) => p.set(e.currentTarget.checked) }),
    /* @__PURE__ */ jsx("label", { for: id, children: p.label })
  ] });
}
function Choice(p) {
  return /* @__PURE__ */ jsx("div", { class: "seg", role: "group", "aria-label": p.label, children: p.options.map(([value, name]) => /* @__PURE__ */ jsx("button", { type: "button", "aria-pressed": value === p.value, onClick: () => p.set(value), children: name })) });
}
function Dialog(p) {
  const ref = useRef(null);
  const id = useId();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState();
  useEffect(() => {
    const d = ref.current;
    const before = document.activeElement;
    d.showModal();
    return () => {
      d.close();
      before?.focus?.();
    };
  }, []);
  const send = async (e) => {
    e.preventDefault();
    if (!p.submit || busy) return;
    setBusy(true);
    setError(void 0);
    try {
      await p.submit();
    } catch (e2) {
      setError(e2);
    }
    setBusy(false);
  };
  return /* @__PURE__ */ jsx("dialog", { ref, class: p.wide ? "wide" : void 0, "aria-labelledby": id, onCancel: (e) => {
    e.preventDefault();
    p.close();
  }, children: /* @__PURE__ */ jsxs("form", { method: "dialog", onSubmit: send, children: [
    /* @__PURE__ */ jsx("header", { children: /* @__PURE__ */ jsx("h2", { id, children: p.title }) }),
    /* @__PURE__ */ jsxs("div", { class: "body form", children: [
      p.children,
      error !== void 0 && /* @__PURE__ */ jsx(Problem, { error })
    ] }),
    /* @__PURE__ */ jsxs("footer", { children: [
      /* @__PURE__ */ jsx(Button, { onClick: p.close, children: p.submit && !p.done ? "Cancel" : "Done" }),
      p.submit && !p.done && /* @__PURE__ */ jsx(Button, { type: "submit", kind: p.danger ? "main danger" : "main", disabled: busy, children: p.action ?? "Save" })
    ] })
  ] }) });
}
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say("Copied");
}
function Copy(p) {
  return /* @__PURE__ */ jsx("button", { type: "button", class: "btn slim " + (p.quiet === false ? "" : "quiet ") + (p.class ?? ""), onClick: () => void copy(p.text), "aria-label": p.label ? "Copy " + p.label : "Copy", children: p.quiet === false && p.label ? "Copy " + p.label : "Copy" });
}
function Code(p) {
  return /* @__PURE__ */ jsxs("div", { class: "code", children: [
    /* @__PURE__ */ jsx("pre", { class: p.fold ? "fold" : void 0, tabIndex: 0, "aria-label": p.label, role: "group", children: p.text }),
    /* @__PURE__ */ jsx(Copy, { text: p.text, label: p.label, class: "copy" })
  ] });
}
function Ago(p) {
  return /* @__PURE__ */ jsx("time", { dateTime: p.at, title: moment(p.at), class: "nowrap", children: ago(p.at) });
}
function Meter(p) {
  return /* @__PURE__ */ jsx("div", { class: "meter " + (p.tone ?? ""), role: "img", "aria-label": p.label, children: p.parts.map((x) => /* @__PURE__ */ jsx("i", { class: x.reserved ? "res" : void 0, style: { "--w": Math.max(0, Math.min(100, x.share * 100)) } })) });
}
function Bars(p) {
  const most = Math.max(...p.items.map((i) => i.value), 1e-12);
  return /* @__PURE__ */ jsx("ul", { class: "bars", "aria-label": p.label, children: p.items.map((i) => /* @__PURE__ */ jsxs("li", { children: [
    /* @__PURE__ */ jsx("span", { class: "wrap", children: i.name }),
    /* @__PURE__ */ jsx("span", { "aria-hidden": "true", children: /* @__PURE__ */ jsx("span", { class: "bar", style: { display: "block", "--w": 100 * i.value / most, "--c": i.color ?? "var(--c1)" } }) }),
    /* @__PURE__ */ jsx("span", { class: "num", children: i.shown })
  ] })) });
}
let saying;
const say = (text) => saying?.(text);
function Toast() {
  const [text, set] = useState("");
  useEffect(() => {
    let timer = 0;
    saying = (t) => {
      set(t);
      clearTimeout(timer);
      timer = window.setTimeout(() => set(""), 2400);
    };
    return () => clearTimeout(timer);
  }, []);
  return /* @__PURE__ */ jsx("div", { class: "toast", role: "status", children: text });
}
export {
  Ago,
  Bars,
  Button,
  Check,
  Choice,
  Code,
  Copy,
  Dialog,
  Empty,
  Field,
  Figures,
  Input,
  Meter,
  Page,
  Panel,
  Problem,
  Select,
  Shown,
  Table,
  Tag,
  Toast,
  say
};
