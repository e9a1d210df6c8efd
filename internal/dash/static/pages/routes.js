import { Fragment, jsx, jsxs } from "preact/jsx-runtime";
import { useApi, query } from "../api.js";
import { compact, count, money, percent, rate, words } from "../format.js";
import { setQuery, url } from "../route.js";
import { Choice, Empty, Page, Panel, Shown, Table, Tag } from "../ui.js";
function Routes({ at }) {
  const since = at.query.get("since") ?? "7d";
  const routes = useApi(query("routes", { since }), 15e3);
  const name = at.path[1];
  return /* @__PURE__ */ jsx(
    Page,
    {
      title: name ? "Route " + name : "Routes",
      lead: name ? /* @__PURE__ */ jsx("a", { href: url("routes"), children: "All routes" }) : "A name of yours that leads to several models: a list takes the first that can answer, a ladder begins with the cheapest and climbs when an answer is not what it must be.",
      actions: /* @__PURE__ */ jsx(Choice, { label: "Since", value: since, set: (v) => setQuery({ since: v === "7d" ? "" : v }), options: [["24h", "24 h"], ["7d", "7 days"], ["30d", "30 days"]] }),
      children: /* @__PURE__ */ jsx(Shown, { from: routes, height: 420, children: ({ routes: all }) => {
        const rows = all.filter((r) => !name || r.name === name).sort((a, b) => Number(b.declared) - Number(a.declared) || b.used.requests - a.used.requests || a.name.localeCompare(b.name));
        if (!rows.length) {
          return /* @__PURE__ */ jsx(Panel, { label: "Routes", children: /* @__PURE__ */ jsxs(Empty, { title: name ? "There is no such route" : "There is no route yet", actions: /* @__PURE__ */ jsx("a", { class: "btn", href: url("settings"), children: "To the configuration" }), children: [
            "A route is a line of the configuration: ",
            /* @__PURE__ */ jsx("code", { children: "smart: [anthropic/claude-opus-5-5, openai/gpt-5.5]" }),
            " under ",
            /* @__PURE__ */ jsx("code", { children: "routes" }),
            ". Clients then ask for the model “smart”."
          ] }) });
        }
        return /* @__PURE__ */ jsxs(Fragment, { children: [
          rows.map((r) => /* @__PURE__ */ jsx(Picture, { r }, r.name)),
          /* @__PURE__ */ jsx(Successes, { route: name, since }),
          name && /* @__PURE__ */ jsx(Errors, { route: name })
        ] });
      } })
    }
  );
}
function Picture({ r }) {
  return /* @__PURE__ */ jsx(
    Panel,
    {
      flush: true,
      title: /* @__PURE__ */ jsxs("span", { class: "row", children: [
        /* @__PURE__ */ jsx("a", { class: "mono", href: url("routes", r.name), children: r.name }),
        /* @__PURE__ */ jsx(Tag, { tone: r.kind === "ladder" ? "accent" : "", children: r.kind }),
        !r.declared && /* @__PURE__ */ jsx(Tag, { title: "It comes with the program", children: "ready-made" })
      ] }),
      actions: /* @__PURE__ */ jsx("span", { class: "small muted", children: r.used.requests ? /* @__PURE__ */ jsxs(Fragment, { children: [
        /* @__PURE__ */ jsxs("a", { href: url("requests") + "?since=7d&route=" + encodeURIComponent(r.name), children: [
          compact(r.used.requests),
          " requests"
        ] }),
        ", ",
        money(r.used.cost_nanodollars)
      ] }) : "not asked yet" }),
      foot: r.success.length > 0 ? "An answer must be: " + r.success.join("; ") : void 0,
      children: /* @__PURE__ */ jsx(Table, { label: "Rungs of " + r.name, rows: r.rungs.map((x, i) => ({ ...x, i })), id: (x) => x.i, dim: (x) => !x.usable, columns: [
        { name: r.kind === "ladder" ? "Rung" : "Target", cell: (x) => /* @__PURE__ */ jsxs("span", { class: "row", style: { flexWrap: "nowrap" }, children: [
          /* @__PURE__ */ jsx("span", { class: "step", "aria-hidden": "true", children: x.i + 1 }),
          /* @__PURE__ */ jsx("span", { class: "mono nowrap", children: x.model }),
          x.thinking && /* @__PURE__ */ jsxs(Tag, { children: [
            "thinks ",
            x.thinking
          ] }),
          !x.usable && /* @__PURE__ */ jsx(Tag, { tone: "warn", title: "Its provider is not configured", children: "no key" })
        ] }) },
        { name: "Share", class: "share", cell: (x) => /* @__PURE__ */ jsx(Share, { x }) },
        { name: "Success", num: true, cell: (x) => x.success_rate === void 0 ? /* @__PURE__ */ jsx("span", { class: "muted", children: "–" }) : /* @__PURE__ */ jsx("span", { class: x.success_rate < 0.9 ? "warn" : "", children: percent(x.success_rate) }) },
        { name: "A success costs", num: true, cell: (x) => x.cost_per_success_nanodollars === void 0 ? /* @__PURE__ */ jsx("span", { class: "muted", children: "–" }) : money(x.cost_per_success_nanodollars) },
        { name: "Attempts", num: true, low: true, cell: (x) => count(x.used.attempts) },
        { name: "Cost", num: true, low: true, cell: (x) => money(x.used.cost_nanodollars) },
        { name: "Price, in and out", num: true, low: true, cell: (x) => x.price ? rate(x.price.input) + " / " + rate(x.price.output) : /* @__PURE__ */ jsx("span", { class: "muted", children: "unknown" }) }
      ] })
    }
  );
}
function Share({ x }) {
  return /* @__PURE__ */ jsxs("span", { class: "row", style: { flexWrap: "nowrap", minWidth: "110px" }, children: [
    /* @__PURE__ */ jsx("span", { class: "grow", "aria-hidden": "true", children: /* @__PURE__ */ jsx("span", { class: "bar", style: { display: "block", "--w": x.share * 100, "--c": "var(--c1)" } }) }),
    /* @__PURE__ */ jsx("span", { class: "num", style: { width: "52px" }, children: percent(x.share) })
  ] });
}
function Successes({ route, since }) {
  const loaded = useApi(query("success", { by: "route,task,model", since }));
  return /* @__PURE__ */ jsx(Panel, { title: "What a success costs", flush: true, foot: "A success is what somebody said it was; where nobody said anything, an answer that came whole, in which no check found a fault and after which no sign told a failure.", children: /* @__PURE__ */ jsx(Shown, { from: loaded, children: ({ rows: all }) => {
    const rows = all.filter((r) => !route || r.route === route);
    return rows.length ? /* @__PURE__ */ jsx(Table, { label: "What a success costs", rows: rows.slice(0, 50), id: (r) => r.route + "\0" + r.task + "\0" + r.model, columns: [
      { name: "Asked for", cell: (r) => /* @__PURE__ */ jsx("span", { class: "mono nowrap", children: r.route || "–" }), by: (r) => r.route },
      { name: "Task", cell: (r) => /* @__PURE__ */ jsx("span", { class: "cut", style: { display: "block" }, title: r.task, children: r.task || /* @__PURE__ */ jsx("span", { class: "muted", children: "–" }) }), by: (r) => r.task },
      { name: "Answered by", low: true, cell: (r) => /* @__PURE__ */ jsx("span", { class: "mono nowrap", children: r.model || /* @__PURE__ */ jsx("span", { class: "muted", children: "nobody" }) }), by: (r) => r.model },
      { name: "Requests", num: true, cell: (r) => count(r.requests), by: (r) => r.requests },
      { name: "Escalated", num: true, low: true, cell: (r) => count(r.escalated), by: (r) => r.escalated },
      { name: "Successes", num: true, cell: (r) => /* @__PURE__ */ jsx("span", { title: `${count(r.explicit)} with feedback, ${count(r.implicit)} with a sign of failure, ${count(r.ended_well)} ended well`, children: percent(r.successes / Math.max(1, r.requests)) }), by: (r) => r.successes / Math.max(1, r.requests) },
      { name: "A success costs", num: true, cell: (r) => r.cost_per_success_nanodollars === void 0 ? /* @__PURE__ */ jsx("span", { class: "muted", children: "–" }) : money(r.cost_per_success_nanodollars), by: (r) => r.cost_per_success_nanodollars ?? Infinity },
      { name: "Cost", num: true, low: true, cell: (r) => money(r.cost_nanodollars), by: (r) => r.cost_nanodollars }
    ] }) : /* @__PURE__ */ jsxs(Empty, { title: "Nothing was asked in this time", children: [
      "Tell what became of an answer with ",
      /* @__PURE__ */ jsx("code", { children: "POST /v1/feedback" }),
      "; then this says what a success really costs."
    ] });
  } }) });
}
function Errors({ route }) {
  const table = useApi(query("errors", { route }));
  return /* @__PURE__ */ jsx(Panel, { title: "What is done about each class of error", flush: true, children: /* @__PURE__ */ jsx(Shown, { from: table, children: ({ classes }) => /* @__PURE__ */ jsx(Table, { label: "Error classes", rows: classes, id: (c) => c.class, columns: [
    { name: "Class", cell: (c) => words(c.class) },
    { name: "It means", low: true, cell: (c) => c.means },
    { name: "What is done", cell: (c) => c.does },
    { name: "Repeats", num: true, low: true, cell: (c) => count(c.repeat) },
    { name: "Next target", cell: (c) => c.next ? /* @__PURE__ */ jsx(Tag, { tone: "ok", children: "yes" }) : /* @__PURE__ */ jsx(Tag, { children: "no" }) },
    { name: "Client sees", num: true, cell: (c) => c.status }
  ] }) }) });
}
export {
  Routes as default
};
