import { Fragment, jsx, jsxs } from "preact/jsx-runtime";
import { useState } from "preact/hooks";
import { useApi } from "../api.js";
import { compact, count, money, percent, plural, rate, span } from "../format.js";
import { setQuery, url } from "../route.js";
import { Bars, Button, Check, Dialog, Empty, Input, Page, Panel, Select, Shown, Table, Tag } from "../ui.js";
const step = 50;
function Models({ at }) {
  const q = at.query;
  const all = q.get("all") === "true";
  const models = useApi(all ? "models?all=true" : "models");
  const status = useApi("status", 1e4);
  const [picked, pick] = useState([]);
  const [comparing, compare] = useState(false);
  const [most, setMost] = useState(step);
  const text = (q.get("q") ?? "").toLowerCase(), provider = q.get("provider") ?? "", needs = q.get("needs") ?? "", window = Number(q.get("window") ?? 0);
  const targets = new Map(status.data?.targets.map((t) => [t.provider + "/" + t.model, t]));
  const rows = (models.data?.models ?? []).filter((m) => (!text || m.id.toLowerCase().includes(text) || m.name.toLowerCase().includes(text) || m.aliases.some((a) => a.toLowerCase().includes(text))) && (!provider || m.provider === provider) && (!needs || m.features.includes(needs)) && m.window >= window);
  const providers = [...new Set(models.data?.models.map((m) => m.provider))];
  const features = [...new Set(models.data?.models.flatMap((m) => m.features))].sort();
  const chosen = picked.map((id) => models.data?.models.find((m) => m.id === id)).filter((m) => m !== void 0);
  return /* @__PURE__ */ jsxs(Page, { title: "Models", lead: "What can be asked for, at what price, and how it did for your own traffic. Prices are in US dollars for a million tokens.", children: [
    /* @__PURE__ */ jsxs(Panel, { flush: true, title: models.data ? count(rows.length) + (rows.length === 1 ? " model" : " models") : "Models", actions: /* @__PURE__ */ jsxs(Button, { onClick: () => compare(true), disabled: chosen.length < 2, title: "Tick two to four models", children: [
      "Compare",
      chosen.length ? " " + chosen.length : ""
    ] }), children: [
      /* @__PURE__ */ jsx("div", { class: "in", style: { borderBottom: "1px solid var(--line)" }, children: /* @__PURE__ */ jsxs("div", { class: "filters", children: [
        /* @__PURE__ */ jsx(Input, { wide: true, label: "Search", type: "search", value: q.get("q") ?? "", set: (v) => {
          setQuery({ q: v });
          setMost(step);
        }, placeholder: "name or alias" }),
        /* @__PURE__ */ jsx(Select, { label: "Provider", value: provider, set: (v) => setQuery({ provider: v }), options: [["", "all"], ...providers.map((p) => [p, p])] }),
        /* @__PURE__ */ jsx(Select, { label: "Can", value: needs, set: (v) => setQuery({ needs: v }), options: [["", "anything"], ...features.map((f) => [f, f.replaceAll("_", " ")])] }),
        /* @__PURE__ */ jsx(Select, { label: "Window at least", value: String(window || ""), set: (v) => setQuery({ window: v }), options: [["", "any"], ["32000", "32 K"], ["128000", "128 K"], ["200000", "200 K"], ["1000000", "1 M"]] }),
        /* @__PURE__ */ jsx(Check, { label: "Also of providers without a key", value: all, set: (v) => setQuery({ all: v ? "true" : "" }) })
      ] }) }),
      /* @__PURE__ */ jsx(Shown, { from: models, height: 420, children: () => rows.length ? /* @__PURE__ */ jsxs(Fragment, { children: [
        /* @__PURE__ */ jsx(Table, { label: "Models", rows: rows.slice(0, most), id: (m) => m.id, dim: (m) => !m.usable, loading: models.loading, columns: [
          { name: "Model", by: (m) => m.id, cell: (m) => /* @__PURE__ */ jsxs("span", { class: "row", style: { flexWrap: "nowrap", alignItems: "flex-start" }, children: [
            /* @__PURE__ */ jsx("input", { type: "checkbox", style: { marginTop: "2px" }, "aria-label": "Compare " + m.id, checked: picked.includes(m.id), onChange: (e) => pick(e.currentTarget.checked ? [...picked.slice(-3), m.id] : picked.filter((x) => x !== m.id)) }),
            /* @__PURE__ */ jsxs("span", { class: "tight", style: { gap: 0 }, children: [
              /* @__PURE__ */ jsx("span", { class: "mono nowrap", children: m.id }),
              m.name && m.name !== m.id && /* @__PURE__ */ jsx("span", { class: "small muted", children: m.name })
            ] })
          ] }) },
          { name: "Input", num: true, by: (m) => m.price?.input ?? Infinity, cell: (m) => m.price ? rate(m.price.input) : /* @__PURE__ */ jsx("span", { class: "muted", children: "unknown" }) },
          { name: "Output", num: true, by: (m) => m.price?.output ?? Infinity, cell: (m) => m.price ? rate(m.price.output) : "" },
          { name: "Cached", num: true, low: true, by: (m) => m.price?.cache_read ?? Infinity, cell: (m) => m.price?.cache_read !== void 0 ? rate(m.price.cache_read) : /* @__PURE__ */ jsx("span", { class: "muted", children: "–" }) },
          { name: "Window", num: true, by: (m) => m.window, cell: (m) => m.window ? compact(m.window) : "–" },
          { name: "Answer", num: true, low: true, by: (m) => m.max_output, cell: (m) => m.max_output ? compact(m.max_output) : "–" },
          { name: "Can", low: true, cell: (m) => /* @__PURE__ */ jsx(Features, { m }) },
          { name: "First byte", num: true, low: true, by: (m) => targets.get(m.id)?.first_byte.p50 ?? Infinity, cell: (m) => /* @__PURE__ */ jsx(Measured, { t: targets.get(m.id) }) },
          { name: "Success", num: true, low: true, by: (m) => targets.get(m.id)?.success_rate ?? -1, cell: (m) => {
            const t = targets.get(m.id);
            return t?.attempts ? percent(t.success_rate) : /* @__PURE__ */ jsx("span", { class: "muted", children: "–" });
          } }
        ] }),
        rows.length > most && /* @__PURE__ */ jsx("div", { class: "in", children: /* @__PURE__ */ jsxs(Button, { onClick: () => setMost(most + step), children: [
          "Show ",
          count(Math.min(step, rows.length - most)),
          " more of ",
          count(rows.length)
        ] }) })
      ] }) : /* @__PURE__ */ jsx(Empty, { title: "No model fits", actions: /* @__PURE__ */ jsxs(Fragment, { children: [
        /* @__PURE__ */ jsx(Button, { onClick: () => setQuery({ q: "", provider: "", needs: "", window: "" }), children: "Clear the filters" }),
        !all && /* @__PURE__ */ jsx(Button, { onClick: () => setQuery({ all: "true" }), children: "Look at all providers" })
      ] }), children: "Only models of providers that have a key are listed." }) })
    ] }),
    models.data && /* @__PURE__ */ jsx(What, {}),
    comparing && /* @__PURE__ */ jsx(Compare, { rows: chosen, targets, close: () => compare(false) })
  ] });
}
const telling = ["tools", "vision", "thinking", "json_schema", "pdf", "audio"];
function Features({ m }) {
  const rank = (f) => telling.indexOf(f) + 1 || telling.length + 1;
  const all = [...m.features].sort((a, b) => rank(a) - rank(b)), shown = all.slice(0, 3);
  return /* @__PURE__ */ jsxs("span", { class: "row", style: { gap: "4px", flexWrap: "nowrap" }, children: [
    shown.map((f) => /* @__PURE__ */ jsx(Tag, { children: f.replaceAll("_", " ") })),
    m.features.length > 3 && /* @__PURE__ */ jsxs("span", { class: "small muted", title: all.slice(3).join(", ").replaceAll("_", " "), children: [
      "+",
      m.features.length - 3
    ] })
  ] });
}
function Measured({ t }) {
  return t?.first_byte.count ? /* @__PURE__ */ jsx("span", { title: "p99 " + span(t.first_byte.p99 * 1e3), children: span(t.first_byte.p50 * 1e3) }) : /* @__PURE__ */ jsx("span", { class: "muted", children: "–" });
}
function Compare(p) {
  const figures = [
    ["Input, a million tokens", (m) => m.price?.input, rate],
    ["Output, a million tokens", (m) => m.price?.output, rate],
    ["Read from its cache", (m) => m.price?.cache_read, rate],
    ["Context window", (m) => m.window || void 0, compact],
    ["Largest answer", (m) => m.max_output || void 0, compact],
    ["First byte, p50", (m) => p.targets.get(m.id)?.first_byte.p50, (n) => span(n * 1e3)],
    ["A token, p50", (m) => p.targets.get(m.id)?.per_token.p50, (n) => span(n * 1e3)],
    ["Success", (m) => p.targets.get(m.id)?.success_rate, percent]
  ];
  return /* @__PURE__ */ jsx(Dialog, { title: "Compare", wide: true, close: p.close, children: /* @__PURE__ */ jsx("div", { class: "cols", children: figures.map(([name, of, show]) => {
    const known = p.rows.filter((m) => of(m) !== void 0);
    return /* @__PURE__ */ jsxs("div", { class: "tight", children: [
      /* @__PURE__ */ jsx("h3", { children: name }),
      known.length ? /* @__PURE__ */ jsx(Bars, { label: name, items: p.rows.map((m, i) => ({ name: /* @__PURE__ */ jsx("span", { class: "mono small", children: m.id }), value: of(m) ?? 0, shown: of(m) === void 0 ? "unknown" : show(of(m)), color: `var(--c${i + 1})` })) }) : /* @__PURE__ */ jsx("p", { class: "small muted", children: "Not measured yet." })
    ] });
  }) }) });
}
function What() {
  const what = useApi("compare?since=7d");
  return /* @__PURE__ */ jsx(Panel, { title: "What would the last 7 days cost on ...", flush: true, foot: what.data?.notes.join(" "), children: /* @__PURE__ */ jsx(Shown, { from: what, height: 240, children: (c) => {
    const w = c.workload;
    if (!w.requests) return /* @__PURE__ */ jsx(Empty, { title: "Nothing was used in the last 7 days", actions: /* @__PURE__ */ jsx("a", { class: "btn", href: url("connect"), children: "Connect a client" }), children: "When there is traffic, this table says what it would have cost on every model that you can use." });
    return /* @__PURE__ */ jsxs(Fragment, { children: [
      /* @__PURE__ */ jsxs("div", { class: "in small muted", children: [
        count(w.requests),
        " requests with ",
        compact(w.prompt_tokens),
        " tokens in and ",
        compact(w.output_tokens),
        " out, for which ",
        money(w.cost_nanodollars),
        " was paid",
        w.unpriced ? ` (${count(w.unpriced)} have no known price and are not in it)` : "",
        w.sampled < w.requests ? `; ${count(w.sampled)} of them stand for all` : "",
        "."
      ] }),
      /* @__PURE__ */ jsx(Table, { label: "What the last 7 days would cost", rows: c.models.filter((m) => m.usable).slice(0, 24), id: (m) => m.id, dim: (m) => m.cost_nanodollars === void 0, columns: [
        { name: "Model", cell: (m) => /* @__PURE__ */ jsx("span", { class: "mono nowrap", children: m.id }), by: (m) => m.id },
        { name: "Would cost", num: true, cell: (m) => m.cost_nanodollars === void 0 ? /* @__PURE__ */ jsx("span", { class: "muted", children: "unknown" }) : money(m.cost_nanodollars), by: (m) => m.cost_nanodollars ?? Infinity },
        { name: "Against what was paid", num: true, cell: (m) => m.against === void 0 ? /* @__PURE__ */ jsx("span", { class: "muted", children: "–" }) : /* @__PURE__ */ jsxs("span", { class: m.against < 0 ? "ok" : "", children: [
          m.against < 0 ? "−" : "+",
          percent(Math.abs(m.against), 0)
        ] }), by: (m) => m.against ?? Infinity },
        { name: "Tokens in", num: true, low: true, cell: (m) => /* @__PURE__ */ jsx("span", { title: `${m.tokenizer}: ${m.token_ratio.toFixed(2)} times as many`, children: compact(m.prompt_tokens) }), by: (m) => m.prompt_tokens },
        { name: "Could not", low: true, cell: (m) => m.too_long || m.cannot_do ? /* @__PURE__ */ jsx("span", { class: "warn", children: [m.too_long && plural(m.too_long, "request") + " too long", m.cannot_do && plural(m.cannot_do, "request") + " need " + m.lacks.join(", ").replaceAll("_", " ")].filter(Boolean).join("; ") }) : m.unknown ? /* @__PURE__ */ jsx("span", { class: "muted", children: "not known" }) : "" }
      ] })
    ] });
  } }) });
}
export {
  Models as default
};
