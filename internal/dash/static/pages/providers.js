import { Fragment, jsx, jsxs } from "preact/jsx-runtime";
import { useState } from "preact/hooks";
import { call, may, useApi } from "../api.js";
import { count, money, percent, plural, span, words } from "../format.js";
import { url } from "../route.js";
import { Ago, Button, Choice, Dialog, Empty, Input, Meter, Page, Panel, Problem, say, Shown, Table, Tag } from "../ui.js";
function Providers({ at }) {
  return at.path[1] ? /* @__PURE__ */ jsx(One, { id: at.path[1] }) : /* @__PURE__ */ jsx(List, {});
}
function One({ id }) {
  const path = "providers/" + encodeURIComponent(id);
  const loaded = useApi(path, 4e3);
  const [adding, add] = useState(false);
  const [drop, setDrop] = useState();
  const [name, setName] = useState(""), [key, setKey] = useState(""), [model, setModel] = useState("");
  const [busy, setBusy] = useState(false);
  const [tested, setTested] = useState();
  const [error, setError] = useState();
  const write = may("providers.write");
  const test = async () => {
    setBusy(true);
    setError(void 0);
    setTested(void 0);
    try {
      setTested(await call("POST", path + "/test", { model }));
    } catch (e) {
      setError(e);
    }
    setBusy(false);
  };
  return /* @__PURE__ */ jsxs(Page, { title: "Provider " + (loaded.data?.detail.provider.name || id), lead: /* @__PURE__ */ jsx("a", { href: url("providers"), children: "All providers" }), actions: write && /* @__PURE__ */ jsx(Button, { kind: "main", onClick: () => add(true), children: "Add a key" }), children: [
    /* @__PURE__ */ jsx(Shown, { from: loaded, height: 420, children: ({ detail: d }) => /* @__PURE__ */ jsxs(Fragment, { children: [
      /* @__PURE__ */ jsxs("div", { class: "two", children: [
        /* @__PURE__ */ jsx(Panel, { title: "As it is found", children: /* @__PURE__ */ jsxs("dl", { class: "kv", children: [
          /* @__PURE__ */ jsx("dt", { children: "State" }),
          /* @__PURE__ */ jsx("dd", { children: /* @__PURE__ */ jsx(State, { p: d.provider, targets: d.targets }) }),
          /* @__PURE__ */ jsx("dt", { children: "Found by" }),
          /* @__PURE__ */ jsx("dd", { class: "mono", children: d.provider.source || "–" }),
          /* @__PURE__ */ jsx("dt", { children: "Speaks" }),
          /* @__PURE__ */ jsx("dd", { children: d.provider.dialect }),
          /* @__PURE__ */ jsx("dt", { children: "Base URL" }),
          /* @__PURE__ */ jsx("dd", { class: "mono", children: d.provider.base_url || "–" }),
          /* @__PURE__ */ jsx("dt", { children: "Models" }),
          /* @__PURE__ */ jsx("dd", { children: /* @__PURE__ */ jsx("a", { href: url("models") + "?provider=" + encodeURIComponent(id), children: count(d.provider.models) }) })
        ] }) }),
        /* @__PURE__ */ jsx(Panel, { title: "Test with one call", children: /* @__PURE__ */ jsxs("div", { class: "form", children: [
          write ? /* @__PURE__ */ jsxs("div", { class: "filters", children: [
            /* @__PURE__ */ jsx(Input, { wide: true, label: "Model", value: model, set: setModel, placeholder: "its cheapest one", autocomplete: "off" }),
            /* @__PURE__ */ jsx(Button, { onClick: () => void test(), disabled: busy, children: busy ? "Asking" : "Ask for one word" })
          ] }) : /* @__PURE__ */ jsx("p", { class: "muted", children: "Your role may not make calls that are paid for." }),
          error !== void 0 && /* @__PURE__ */ jsx(Problem, { error }),
          tested ? /* @__PURE__ */ jsxs("div", { class: "note " + (tested.ok ? "ok" : "bad"), role: "status", children: [
            /* @__PURE__ */ jsx("b", { children: tested.ok ? "It answers" : "It does not answer" }),
            " ",
            /* @__PURE__ */ jsx("span", { class: "mono small", children: tested.model }),
            /* @__PURE__ */ jsx("div", { class: "wrap", children: tested.ok ? "“" + tested.answer + "”" : (tested.class ? words(tested.class) + ": " : "") + (tested.message ?? "status " + tested.status) }),
            /* @__PURE__ */ jsxs("div", { class: "row small muted", children: [
              /* @__PURE__ */ jsx("span", { children: span(tested.total_ms) }),
              tested.cost.priced && /* @__PURE__ */ jsx("span", { children: money(tested.cost.nanodollars) }),
              tested.request && /* @__PURE__ */ jsx("a", { href: url("requests", tested.request), children: "the request" })
            ] })
          ] }) : /* @__PURE__ */ jsx("p", { class: "small muted", children: "It is paid for, and stands in the ledger like any request." })
        ] }) })
      ] }),
      /* @__PURE__ */ jsx(Panel, { flush: true, title: "Keys", foot: "A key that is put here is sealed, used at once beside the others, and never shown again.", children: d.credentials.length ? /* @__PURE__ */ jsx(Table, { label: "Keys of the provider", rows: d.credentials, id: (c) => c.name + c.source, columns: [
        { name: "Name", cell: (c) => c.name },
        { name: "Ends with", cell: (c) => c.last ? /* @__PURE__ */ jsxs("span", { class: "mono", children: [
          "…",
          c.last
        ] }) : /* @__PURE__ */ jsx("span", { class: "muted", children: "–" }) },
        { name: "State", cell: (c) => c.state ? /* @__PURE__ */ jsx(Aside, { c: c.state }) : /* @__PURE__ */ jsx("span", { class: "muted", children: "nothing known yet" }) },
        { name: "Comes from", low: true, cell: (c) => /* @__PURE__ */ jsx("span", { class: "wrap", children: c.stored ? /* @__PURE__ */ jsxs(Fragment, { children: [
          "put here",
          c.added && /* @__PURE__ */ jsxs(Fragment, { children: [
            " ",
            /* @__PURE__ */ jsx(Ago, { at: c.added })
          ] })
        ] }) : c.source }) },
        { name: "Limits", low: true, cell: (c) => /* @__PURE__ */ jsx("span", { class: "tight", children: c.state?.limits.slice(0, 4).map((l) => /* @__PURE__ */ jsx(Limit, { l })) }) },
        { name: /* @__PURE__ */ jsx("span", { class: "sr", children: "What to do" }), num: true, cell: (c) => write && c.stored && /* @__PURE__ */ jsx(Button, { slim: true, kind: "danger", onClick: () => setDrop(c), label: "Remove " + c.name, children: "Remove" }) }
      ] }) : /* @__PURE__ */ jsx(Empty, { title: "It has no key", actions: write && /* @__PURE__ */ jsx(Button, { kind: "main", onClick: () => add(true), children: "Add a key" }), children: "Put one here, or set the vendor's usual variable and start again." }) }),
      /* @__PURE__ */ jsx(Targets, { rows: d.targets })
    ] }) }),
    adding && /* @__PURE__ */ jsxs(Dialog, { title: "A key of " + id, close: () => add(false), action: "Keep it", submit: async () => {
      await call("POST", path + "/credentials", { name, key });
      setName("");
      setKey("");
      add(false);
      loaded.reload();
    }, children: [
      /* @__PURE__ */ jsx(Input, { label: "Name", value: name, set: setName, required: true, maxLength: 64, placeholder: "main", autofocus: true }),
      /* @__PURE__ */ jsx(Input, { label: "Key", type: "password", value: key, set: setKey, required: true, autocomplete: "off", spellcheck: false, hint: "It is sealed, and never shown again." })
    ] }),
    drop && /* @__PURE__ */ jsx(Dialog, { title: "Remove " + drop.name, close: () => setDrop(void 0), danger: true, action: "Remove", submit: async () => {
      await call("DELETE", path + "/credentials/" + encodeURIComponent(drop.name));
      setDrop(void 0);
      loaded.reload();
    }, children: /* @__PURE__ */ jsx("p", { children: "Requests that run are answered to their end; new ones take another key." }) })
  ] });
}
function List() {
  const providers = useApi("providers", 15e3);
  const status = useApi("status", 3e3);
  const [view, setView] = useState("ready");
  const [busy, setBusy] = useState(false);
  const refresh = async () => {
    setBusy(true);
    try {
      const r = await call("POST", "models/refresh");
      say(`${plural(r.added, "model")} added, ${r.changed} changed, ${r.gone} gone`);
      providers.reload();
    } catch (e) {
      say(String(e.message));
    }
    setBusy(false);
  };
  return /* @__PURE__ */ jsxs(
    Page,
    {
      title: "Providers",
      lead: "Where requests go. They are found in the environment and in the configuration; Ollama on this machine is found by itself.",
      actions: may("models.write") && /* @__PURE__ */ jsx(Button, { onClick: () => void refresh(), disabled: busy, children: busy ? "Asking" : "Ask them for their models" }),
      children: [
        /* @__PURE__ */ jsx(Panel, { flush: true, title: "Providers", actions: /* @__PURE__ */ jsx(Choice, { label: "Which providers", value: view, set: setView, options: [["ready", "Ready"], ["all", "All that were looked for"]] }), children: /* @__PURE__ */ jsx(Shown, { from: providers, height: 220, children: ({ providers: all }) => {
          const rows = all.filter((p) => view === "all" || p.state === "ready");
          return rows.length ? /* @__PURE__ */ jsx(Table, { label: "Providers", rows, id: (p) => p.id, dim: (p) => p.state !== "ready", columns: [
            { name: "Provider", by: (p) => p.name || p.id, cell: (p) => /* @__PURE__ */ jsxs("span", { class: "tight", style: { gap: 0 }, children: [
              /* @__PURE__ */ jsx("a", { href: url("providers", p.id), children: p.name || p.id }),
              /* @__PURE__ */ jsx("span", { class: "mono muted small", children: p.id })
            ] }) },
            { name: "State", cell: (p) => /* @__PURE__ */ jsx(State, { p, targets: status.data?.targets ?? [] }) },
            { name: "Found by", low: true, cell: (p) => /* @__PURE__ */ jsx("span", { class: "mono wrap", children: p.source || "–" }) },
            { name: "Speaks", low: true, cell: (p) => p.dialect },
            { name: "Base URL", low: true, cell: (p) => /* @__PURE__ */ jsx("span", { class: "mono wrap", children: p.base_url || "–" }) },
            { name: "Models", num: true, by: (p) => p.models, cell: (p) => p.models ? /* @__PURE__ */ jsx("a", { href: url("models") + "?provider=" + encodeURIComponent(p.id), children: count(p.models) }) : "–" }
          ] }) : /* @__PURE__ */ jsx(Empty, { title: "No provider is configured", actions: /* @__PURE__ */ jsx(Button, { onClick: () => setView("all"), children: "Which ones are known" }), children: "Set a vendor's usual variable, such as ANTHROPIC_API_KEY or OPENAI_API_KEY, and start again, or name the provider in the configuration." });
        } }) }),
        /* @__PURE__ */ jsx(Shown, { from: status, children: (s) => /* @__PURE__ */ jsxs(Fragment, { children: [
          /* @__PURE__ */ jsx(Credentials, { rows: s.credentials }),
          /* @__PURE__ */ jsx(Targets, { rows: s.targets })
        ] }) })
      ]
    }
  );
}
function State({ p, targets }) {
  if (p.state === "skipped") return /* @__PURE__ */ jsxs("span", { class: "tight", children: [
    /* @__PURE__ */ jsx(Tag, { children: "not used" }),
    p.advice && /* @__PURE__ */ jsx("span", { class: "small muted wrap", children: p.advice })
  ] });
  if (p.state === "disabled") return /* @__PURE__ */ jsx(Tag, { children: "switched off" });
  const open = targets.filter((t) => t.provider === p.id && t.breaker !== "closed").length;
  return open ? /* @__PURE__ */ jsxs(Tag, { tone: "bad", dot: true, children: [
    plural(open, "model"),
    " set aside"
  ] }) : /* @__PURE__ */ jsx(Tag, { tone: "ok", dot: true, children: "ready" });
}
function Credentials({ rows }) {
  return /* @__PURE__ */ jsx(Panel, { title: "Credentials", flush: true, foot: "Limits are what the operator says and what the answers of the provider tell. A credential that is refused or spent is set aside on its own.", children: rows.length ? /* @__PURE__ */ jsx(Table, { label: "Credentials", rows, id: (c) => c.provider + "/" + c.name, columns: [
    { name: "Credential", cell: (c) => /* @__PURE__ */ jsxs("span", { children: [
      /* @__PURE__ */ jsx("b", { children: c.provider }),
      " ",
      /* @__PURE__ */ jsx("span", { class: "muted", children: c.name })
    ] }), by: (c) => c.provider },
    { name: "State", cell: (c) => /* @__PURE__ */ jsx(Aside, { c }) },
    { name: "Running", num: true, cell: (c) => count(c.running) + (c.parallel ? " of " + count(c.parallel) : "") },
    { name: "Limits, the fullest first", cell: (c) => /* @__PURE__ */ jsxs("span", { class: "tight", children: [
      c.limits.slice(0, 4).map((l) => /* @__PURE__ */ jsx(Limit, { l })),
      c.limits.length === 0 && /* @__PURE__ */ jsx("span", { class: "muted", children: "none known" }),
      c.limits.length + c.more_limits > 4 && /* @__PURE__ */ jsxs("span", { class: "small muted", children: [
        "and ",
        c.limits.length + c.more_limits - 4,
        " more"
      ] })
    ] }) }
  ] }) : /* @__PURE__ */ jsx(Empty, { title: "Nothing is known of any credential yet", children: "After the first answers of a provider its limits stand here, with what is left of them." }) });
}
function Aside({ c }) {
  if (c.state === "set_aside") {
    return /* @__PURE__ */ jsx("span", { class: "tight", children: c.set_aside.map((a) => /* @__PURE__ */ jsxs("span", { class: "tight", children: [
      /* @__PURE__ */ jsxs(Tag, { tone: "bad", dot: true, children: [
        "set aside for ",
        a.op
      ] }),
      /* @__PURE__ */ jsxs("span", { class: "small muted wrap", children: [
        words(a.class),
        ": ",
        a.message,
        "; probed ",
        /* @__PURE__ */ jsx(Ago, { at: a.until })
      ] })
    ] })) });
  }
  if (c.state === "rate_limited") return /* @__PURE__ */ jsxs("span", { class: "tight", children: [
    /* @__PURE__ */ jsx(Tag, { tone: "warn", dot: true, children: "waits for its limit" }),
    c.pauses.map((p) => /* @__PURE__ */ jsxs("span", { class: "small muted", children: [
      p.model ?? "all models",
      ": ",
      /* @__PURE__ */ jsx(Ago, { at: p.until })
    ] }))
  ] });
  return /* @__PURE__ */ jsx(Tag, { tone: "ok", dot: true, children: "ready" });
}
function Limit({ l }) {
  const used = 1 - l.left / Math.max(1, l.limit);
  return /* @__PURE__ */ jsxs("span", { class: "row", style: { flexWrap: "nowrap" }, title: l.source + (l.model ? ", for " + l.model : ""), children: [
    /* @__PURE__ */ jsx("span", { style: { width: "72px" }, children: /* @__PURE__ */ jsx(Meter, { tone: used > 0.9 ? "bad" : used > 0.7 ? "warn" : "", parts: [{ share: used }], label: percent(used) + " used" }) }),
    /* @__PURE__ */ jsxs("span", { class: "small nowrap", children: [
      count(l.left),
      " of ",
      count(l.limit),
      " ",
      words(l.kind)
    ] }),
    /* @__PURE__ */ jsxs("span", { class: "small muted nowrap lo", children: [
      l.source,
      l.model ? " · " + l.model : ""
    ] })
  ] });
}
function Targets({ rows }) {
  return /* @__PURE__ */ jsx(Panel, { title: "Health of the models that were asked, the last 15 minutes", flush: true, children: rows.length ? /* @__PURE__ */ jsx(Table, { label: "Health of targets", rows, id: (t) => t.provider + "/" + t.model, sort: [2, -1], columns: [
    { name: "Target", cell: (t) => /* @__PURE__ */ jsxs("span", { class: "mono wrap", children: [
      t.provider,
      "/",
      t.model
    ] }), by: (t) => t.provider + t.model },
    { name: "Breaker", cell: (t) => /* @__PURE__ */ jsx(Tag, { dot: true, tone: t.breaker === "closed" ? "ok" : t.breaker === "open" ? "bad" : "warn", children: t.breaker === "closed" ? "closed" : t.breaker === "open" ? "open: set aside" : "being probed" }) },
    { name: "Attempts", num: true, cell: (t) => count(t.attempts), by: (t) => t.attempts },
    { name: "Success", num: true, cell: (t) => t.attempts ? percent(t.success_rate) : "–", by: (t) => t.success_rate },
    { name: "First byte p50", num: true, low: true, cell: (t) => t.first_byte.count ? span(t.first_byte.p50 * 1e3) : "–", by: (t) => t.first_byte.p50 },
    { name: "p99", num: true, low: true, cell: (t) => t.first_byte.count ? span(t.first_byte.p99 * 1e3) : "–", by: (t) => t.first_byte.p99 },
    { name: "A token", num: true, low: true, cell: (t) => t.per_token.count ? span(t.per_token.p50 * 1e3) : "–", by: (t) => t.per_token.p50 },
    { name: "Failures", cell: (t) => t.failed.length ? t.failed.map((f) => count(f.count) + " " + words(f.class)).join(", ") : /* @__PURE__ */ jsx("span", { class: "muted", children: "none" }) }
  ] }) : /* @__PURE__ */ jsx(Empty, { title: "Nothing was asked in the last 15 minutes", actions: /* @__PURE__ */ jsx("a", { class: "btn", href: url("playground"), children: "Ask something" }), children: "Latency and success of each model are measured on your own traffic." }) });
}
export {
  Providers as default
};
