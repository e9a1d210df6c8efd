import { Fragment, jsx, jsxs } from "preact/jsx-runtime";
import { useState } from "preact/hooks";
import { call, change as rewrite, may, useApi } from "../api.js";
import { ago, compact, count, money, plural } from "../format.js";
import { setQuery, url } from "../route.js";
import { Ago, Button, Check, Choice, Code, Dialog, Empty, Input, Page, Panel, Select, Shown, Table, Tag } from "../ui.js";
function Keys({ at }) {
  const keys = useApi("keys");
  const usage = useApi("usage?by=key&since=30d");
  const [making, make] = useState(false);
  const [changing, change] = useState();
  const [ending, end] = useState();
  const [turning, turn] = useState();
  const view = at.query.get("view") ?? "active", team = at.query.get("team") ?? "";
  const write = may("keys.write");
  const used = new Map(usage.data?.rows.map((r) => [r.name, r]));
  return /* @__PURE__ */ jsxs(
    Page,
    {
      title: "Keys and teams",
      lead: "Clients call with a key. A key belongs to a team, and may have models, limits, a priority and an end of its own.",
      actions: write && /* @__PURE__ */ jsx(Button, { kind: "main", onClick: () => make(true), children: "New key" }),
      children: [
        /* @__PURE__ */ jsx(Panel, { flush: true, title: "Keys", actions: /* @__PURE__ */ jsx(Fragment, { children: /* @__PURE__ */ jsx(Choice, { label: "Which keys", value: view, set: (v) => setQuery({ view: v === "active" ? "" : v }), options: [["active", "Active"], ["ended", "Ended"], ["all", "All"]] }) }), children: /* @__PURE__ */ jsx(Shown, { from: keys, height: 300, children: ({ keys: all }) => {
          const rows = all.filter((k) => (view === "all" || k.state === "active" === (view === "active")) && (!team || k.team === team)).reverse();
          if (!rows.length) {
            return /* @__PURE__ */ jsx(Empty, { title: view === "ended" ? "No key has ended" : "There is no key yet", actions: write && view !== "ended" && /* @__PURE__ */ jsx(Button, { kind: "main", onClick: () => make(true), children: "Make a key" }), children: view === "ended" ? "Keys that expired or were revoked stand here, with what they used." : "A client needs one to ask for anything. Make one and point a client at this gateway." });
          }
          return /* @__PURE__ */ jsx(Table, { label: "Keys", rows, id: (k) => k.id, dim: (k) => k.state !== "active", columns: [
            { name: "Name", by: (k) => k.name, cell: (k) => /* @__PURE__ */ jsxs("span", { class: "tight", children: [
              /* @__PURE__ */ jsxs("span", { children: [
                k.name || /* @__PURE__ */ jsx("span", { class: "muted", children: "no name" }),
                " ",
                k.admin && /* @__PURE__ */ jsx(Tag, { tone: "accent", children: "admin" })
              ] }),
              /* @__PURE__ */ jsxs("span", { class: "mono muted small", children: [
                k.prefix,
                "…"
              ] })
            ] }) },
            { name: "Team", by: (k) => k.team, cell: (k) => k.team || /* @__PURE__ */ jsx("span", { class: "muted", children: "–" }) },
            { name: "State", cell: (k) => /* @__PURE__ */ jsx(State, { k }) },
            { name: "May ask for", low: true, cell: (k) => k.admin ? "the admin API" : k.models.length ? /* @__PURE__ */ jsx("span", { class: "mono wrap", children: k.models.join(", ") }) : "every model" },
            { name: "Limits", low: true, cell: (k) => /* @__PURE__ */ jsx(Limits, { l: k.limits, priority: k.priority }) },
            { name: "Requests, 30 d", num: true, low: true, by: (k) => used.get(k.id)?.requests ?? 0, cell: (k) => /* @__PURE__ */ jsx("a", { href: url("requests") + "?key=" + encodeURIComponent(k.id), children: count(used.get(k.id)?.requests ?? 0) }) },
            { name: "Spent, 30 d", num: true, by: (k) => used.get(k.id)?.cost_nanodollars ?? 0, cell: (k) => money(used.get(k.id)?.cost_nanodollars ?? 0) },
            { name: /* @__PURE__ */ jsx("span", { class: "sr", children: "What to do" }), num: true, cell: (k) => write && k.state === "active" && /* @__PURE__ */ jsxs("span", { class: "row", style: { justifyContent: "flex-end", flexWrap: "nowrap" }, children: [
              !k.admin && /* @__PURE__ */ jsx(Button, { slim: true, onClick: () => change(k), label: "Change " + (k.name || k.id), children: "Change" }),
              /* @__PURE__ */ jsx(Button, { slim: true, onClick: () => turn(k), label: "Rotate " + (k.name || k.id), children: "Rotate" }),
              /* @__PURE__ */ jsx(Button, { slim: true, kind: "danger", onClick: () => end(k), label: "Revoke " + (k.name || k.id), children: "Revoke" })
            ] }) }
          ] });
        } }) }),
        keys.data && /* @__PURE__ */ jsx(Teams, {}),
        changing && /* @__PURE__ */ jsx(Make, { was: changing, close: () => {
          change(void 0);
          keys.reload();
        }, teams: teamsOf(keys.data?.keys ?? []) }),
        making && /* @__PURE__ */ jsx(Make, { close: () => {
          make(false);
          keys.reload();
        }, teams: teamsOf(keys.data?.keys ?? []) }),
        ending && /* @__PURE__ */ jsx(Dialog, { title: "Revoke " + (ending.name || ending.id), close: () => end(void 0), danger: true, action: "Revoke", submit: async () => {
          await call("DELETE", "keys/" + encodeURIComponent(ending.id));
          end(void 0);
          keys.reload();
        }, children: /* @__PURE__ */ jsx("p", { children: "It stops working within a second, for ever. Requests that run are answered to their end." }) }),
        turning && /* @__PURE__ */ jsx(Rotate, { k: turning, close: () => {
          turn(void 0);
          keys.reload();
        } })
      ]
    }
  );
}
const teamsOf = (keys) => [...new Set(keys.map((k) => k.team).filter(Boolean))].sort();
function State({ k }) {
  if (k.state === "revoked") return /* @__PURE__ */ jsxs(Tag, { tone: "bad", dot: true, children: [
    "revoked ",
    k.revoked && ago(k.revoked)
  ] });
  if (k.state === "expired") return /* @__PURE__ */ jsxs(Tag, { tone: "warn", dot: true, children: [
    "expired ",
    k.expires && ago(k.expires)
  ] });
  return /* @__PURE__ */ jsxs("span", { class: "row", children: [
    /* @__PURE__ */ jsx(Tag, { tone: "ok", dot: true, children: "active" }),
    k.expires && /* @__PURE__ */ jsxs("span", { class: "muted small", children: [
      "ends ",
      /* @__PURE__ */ jsx(Ago, { at: k.expires })
    ] })
  ] });
}
function Limits({ l, priority }) {
  const parts = [l.requests_per_minute && count(l.requests_per_minute) + " requests/min", l.tokens_per_minute && compact(l.tokens_per_minute) + " tokens/min", l.parallel && count(l.parallel) + " at once", priority && "priority " + priority].filter(Boolean);
  return parts.length ? /* @__PURE__ */ jsx("span", { children: parts.join(", ") }) : /* @__PURE__ */ jsx("span", { class: "muted", children: "none" });
}
function Teams() {
  const teams = useApi("teams");
  return /* @__PURE__ */ jsx(Panel, { title: "Teams", flush: true, foot: "Limits, priority and weight of a team are in the configuration, under teams.", children: /* @__PURE__ */ jsx(Shown, { from: teams, height: 120, children: ({ teams: rows }) => rows.length ? /* @__PURE__ */ jsx(Table, { label: "Teams", rows, id: (t) => t.name, columns: [
    { name: "Team", cell: (t) => /* @__PURE__ */ jsx("a", { href: url("keys") + "?view=all&team=" + encodeURIComponent(t.name), children: t.name }), by: (t) => t.name },
    { name: "Active keys", num: true, cell: (t) => count(t.keys), by: (t) => t.keys },
    { name: "Limits", low: true, cell: (t) => /* @__PURE__ */ jsx(Limits, { l: t.limits, priority: t.priority }) },
    { name: "Budgets", cell: (t) => t.budgets.length ? t.budgets.map((b) => money(b.spent_nanodollars) + " of " + money(b.limit_nanodollars) + " " + b.window).join(", ") : /* @__PURE__ */ jsx("a", { href: url("budgets") + "?new=team&subject=" + encodeURIComponent(t.name), children: "set one" }) },
    { name: "Requests this month", num: true, low: true, cell: (t) => /* @__PURE__ */ jsx("a", { href: url("requests") + "?since=30d&team=" + encodeURIComponent(t.name), children: count(t.month.requests) }), by: (t) => t.month.requests },
    { name: "Spent this month", num: true, cell: (t) => money(t.month.cost_nanodollars), by: (t) => t.month.cost_nanodollars }
  ] }) : /* @__PURE__ */ jsx(Empty, { title: "There is no team yet", children: "Give a key a team when you make it. Teams share limits and budgets, and get a fair share when too much is asked for." }) }) });
}
function Make(p) {
  const w = p.was;
  const figure = (n) => n ? String(n) : "";
  const [name, setName] = useState(w?.name ?? ""), [team, setTeam] = useState(w?.team ?? ""), [models, setModels] = useState(w?.models.join(", ") ?? ""), [ends, setEnds] = useState("");
  const [rpm, setRpm] = useState(figure(w?.limits.requests_per_minute)), [tpm, setTpm] = useState(figure(w?.limits.tokens_per_minute)), [par, setPar] = useState(figure(w?.limits.parallel));
  const [priority, setPriority] = useState(w?.priority ?? ""), [admin, setAdmin] = useState(false);
  const [made, setMade] = useState();
  if (made) return /* @__PURE__ */ jsx(Fresh, { made, close: p.close });
  return /* @__PURE__ */ jsxs(Dialog, { title: w ? "Change " + (w.name || w.id) : "New key", close: p.close, action: w ? "Change" : "Make the key", submit: async () => {
    const spec = {
      name,
      team,
      admin,
      models: models.split(/[\s,]+/).filter(Boolean),
      priority: priority || void 0,
      limits: { requests_per_minute: Number(rpm) || 0, tokens_per_minute: Number(tpm) || 0, parallel: Number(par) || 0 }
    };
    if (!w) return setMade(await call("POST", "keys", { ...spec, expires_in: ends || void 0 }));
    await rewrite("PUT", "keys/" + encodeURIComponent(w.id), { ...spec, may_raise: w.may_raise, expires: ends ? void 0 : w.expires, expires_in: ends || void 0 });
    p.close();
  }, children: [
    /* @__PURE__ */ jsxs("div", { class: "pair", children: [
      /* @__PURE__ */ jsx(Input, { label: "Name", value: name, set: setName, maxLength: 128, placeholder: "alice, or ci", autofocus: true, required: true }),
      /* @__PURE__ */ jsx(Field2, { label: "Team", value: team, set: setTeam, options: p.teams })
    ] }),
    /* @__PURE__ */ jsx(Input, { label: "Models it may ask for", value: models, set: setModels, placeholder: "every model", hint: /* @__PURE__ */ jsxs(Fragment, { children: [
      "Names or patterns, separated by commas: ",
      /* @__PURE__ */ jsx("code", { children: "smart, anthropic/*" })
    ] }) }),
    /* @__PURE__ */ jsxs("div", { class: "pair", children: [
      /* @__PURE__ */ jsx(Input, { label: "Requests a minute", type: "number", min: 0, value: rpm, set: setRpm, placeholder: "no limit" }),
      /* @__PURE__ */ jsx(Input, { label: "Tokens a minute", type: "number", min: 0, value: tpm, set: setTpm, placeholder: "no limit" }),
      /* @__PURE__ */ jsx(Input, { label: "At once", type: "number", min: 0, value: par, set: setPar, placeholder: "no limit" })
    ] }),
    /* @__PURE__ */ jsxs("div", { class: "pair", children: [
      /* @__PURE__ */ jsx(Select, { label: "Ends", value: ends, set: setEnds, options: [["", w?.expires ? "as it is" : "never"], ["24h", "in a day"], ["168h", "in a week"], ["720h", "in 30 days"], ["8760h", "in a year"]] }),
      /* @__PURE__ */ jsx(Select, { label: "Priority", value: priority, set: setPriority, options: [["", "its team's"], "interactive", "standard", "batch"] })
    ] }),
    !w && /* @__PURE__ */ jsx(Check, { label: "An admin key: it opens the admin API and this dashboard, and calls no model", value: admin, set: setAdmin })
  ] });
}
function Field2(p) {
  return /* @__PURE__ */ jsxs(Fragment, { children: [
    /* @__PURE__ */ jsx(Input, { label: p.label, value: p.value, set: p.set, maxLength: 128, placeholder: "none", list: "teams" }),
    /* @__PURE__ */ jsx("datalist", { id: "teams", children: p.options.map((o) => /* @__PURE__ */ jsx("option", { value: o })) })
  ] });
}
function Rotate(p) {
  const [overlap, set] = useState("24h");
  const [made, setMade] = useState();
  if (made) return /* @__PURE__ */ jsx(Fresh, { made, close: p.close });
  return /* @__PURE__ */ jsxs(Dialog, { title: "Rotate " + (p.k.name || p.k.id), close: p.close, action: "Rotate", submit: async () => setMade(await call("POST", "keys/" + encodeURIComponent(p.k.id) + "/rotate", { overlap })), children: [
    /* @__PURE__ */ jsx("p", { children: "A new key with the same rights takes its place. The old one works on for a while, so that clients can be moved." }),
    /* @__PURE__ */ jsx(Select, { label: "The old key ends", value: overlap, set, options: [["", "now"], ["1h", "in an hour"], ["24h", "in a day"], ["168h", "in a week"]] })
  ] });
}
function Fresh(p) {
  const k = p.made.key;
  return /* @__PURE__ */ jsxs(Dialog, { title: "The key of " + (k.name || k.id), close: p.close, children: [
    /* @__PURE__ */ jsx("p", { children: "Copy it now: it is kept only as a hash and can never be shown again." }),
    /* @__PURE__ */ jsx(Code, { text: p.made.token, label: "key", fold: true }),
    !k.admin && /* @__PURE__ */ jsxs("p", { class: "small muted", children: [
      "How a client uses it stands under ",
      /* @__PURE__ */ jsx("a", { href: url("connect"), children: "Connect" }),
      ". ",
      k.models.length ? "It may ask for " + plural(k.models.length, "pattern") + " of models." : ""
    ] })
  ] });
}
export {
  Keys as default
};
