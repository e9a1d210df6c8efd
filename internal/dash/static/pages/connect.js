import { Fragment, jsx, jsxs } from "preact/jsx-runtime";
import { useState } from "preact/hooks";
import { call, may, useApi } from "../api.js";
import { setQuery } from "../route.js";
import { clients } from "../clients.js";
import { Button, Code, Input, Page, Panel, Problem } from "../ui.js";
function Connect({ at }) {
  const models = useApi("models");
  const [key, setKey] = useState("");
  const [error, setError] = useState();
  const names = models.data?.models.filter((m) => m.usable).map((m) => m.id) ?? [];
  const [chosen, setModel] = useState("");
  const model = chosen || names.find((n) => n === "rehearsal/quick") || names[0] || "rehearsal/quick";
  const id = at.query.get("client") ?? clients[0].id;
  const client = clients.find((c) => c.id === id) ?? clients[0];
  const make = async () => {
    setError(void 0);
    try {
      setKey((await call("POST", "keys", { name: client.name, team: "", admin: false, models: [], limits: { requests_per_minute: 0, tokens_per_minute: 0, parallel: 0 } })).token);
    } catch (e) {
      setError(e);
    }
  };
  return /* @__PURE__ */ jsxs(Page, { title: "Connect", lead: /* @__PURE__ */ jsxs(Fragment, { children: [
    "Point a client's base URL here and give it a key: that is all. This gateway is at ",
    /* @__PURE__ */ jsx("code", { children: location.origin }),
    "."
  ] }), children: [
    /* @__PURE__ */ jsxs(Panel, { title: "A key and a model for the settings below", children: [
      /* @__PURE__ */ jsxs("div", { class: "filters", children: [
        /* @__PURE__ */ jsx(Input, { wide: true, label: "Key", value: key, set: setKey, placeholder: "hr-... or $HEADRACE_KEY", spellcheck: false, autocomplete: "off" }),
        may("keys.write") && /* @__PURE__ */ jsxs(Button, { onClick: () => void make(), children: [
          "Make a key for ",
          client.name
        ] }),
        /* @__PURE__ */ jsx(Input, { wide: true, label: "Model", value: chosen, set: setModel, placeholder: model, list: "models", autocomplete: "off" }),
        /* @__PURE__ */ jsx("datalist", { id: "models", children: names.slice(0, 400).map((n) => /* @__PURE__ */ jsx("option", { value: n })) })
      ] }),
      error !== void 0 && /* @__PURE__ */ jsx(Problem, { error }),
      /* @__PURE__ */ jsx("p", { class: "small muted", style: { marginTop: "10px" }, children: key ? "The key is only in this page: copy it, or a setting with it, before you leave." : "Without a key the settings name the variable HEADRACE_KEY, which you set yourself." })
    ] }),
    /* @__PURE__ */ jsx("div", { class: "tabs", role: "navigation", "aria-label": "Clients", children: clients.map((c) => /* @__PURE__ */ jsx("a", { href: "?client=" + c.id, "aria-current": c === client ? "page" : void 0, onClick: (e) => {
      e.preventDefault();
      setQuery({ client: c.id });
    }, children: c.name })) }),
    /* @__PURE__ */ jsx(Settings, { client, base: location.origin, secret: key, model })
  ] });
}
function Settings(p) {
  const blocks = p.client.blocks({ base: p.base, key: p.secret, model: p.model });
  return /* @__PURE__ */ jsx(Panel, { title: p.client.name, actions: /* @__PURE__ */ jsx("span", { class: "small muted", children: p.client.tested }), children: /* @__PURE__ */ jsxs("div", { class: "stack", children: [
    /* @__PURE__ */ jsx("p", { children: p.client.how }),
    blocks.map((b) => /* @__PURE__ */ jsxs("div", { class: "tight", children: [
      /* @__PURE__ */ jsx("h3", { children: b.name }),
      /* @__PURE__ */ jsx(Code, { text: b.text, label: p.client.name + ", " + b.name })
    ] }))
  ] }) });
}
export {
  Connect as default
};
