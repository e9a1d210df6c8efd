import { useState } from "preact/hooks";
import { call, may, useApi } from "../api.js";
import { setQuery } from "../route.js";
import type { PageProps } from "../app.js";
import type { Issued, ModelList } from "../schema.js";
import { clients, type Client } from "../clients.js";
import { Button, Code, Input, Page, Panel, Problem } from "../ui.js";

export default function Connect({ at }: PageProps) {
  const models = useApi<ModelList>("models");
  const [key, setKey] = useState("");
  const [error, setError] = useState<unknown>();
  const names = models.data?.models.filter((m) => m.usable).map((m) => m.id) ?? [];
  const [chosen, setModel] = useState("");
  const model = chosen || names.find((n) => n === "rehearsal/quick") || names[0] || "rehearsal/quick";
  const id = at.query.get("client") ?? clients[0]!.id;
  const client = clients.find((c) => c.id === id) ?? clients[0]!;
  const make = async () => {
    setError(undefined);
    try {
      setKey((await call<Issued>("POST", "keys", { name: client.name, team: "", admin: false, models: [], limits: { requests_per_minute: 0, tokens_per_minute: 0, parallel: 0 } })).token);
    } catch (e) {
      setError(e);
    }
  };
  return (
    <Page title="Connect" lead={<>Point a client's base URL here and give it a key: that is all. This gateway is at <code>{location.origin}</code>.</>}>
      <Panel title="A key and a model for the settings below">
        <div class="filters">
          <Input wide label="Key" value={key} set={setKey} placeholder="hr-... or $HEADRACE_KEY" spellcheck={false} autocomplete="off" />
          {may("keys.write") && <Button onClick={() => void make()}>Make a key for {client.name}</Button>}
          <Input wide label="Model" value={chosen} set={setModel} placeholder={model} list="models" autocomplete="off" />
          <datalist id="models">{names.slice(0, 400).map((n) => <option value={n} />)}</datalist>
        </div>
        {error !== undefined && <Problem error={error} />}
        <p class="small muted" style={{ marginTop: "10px" }}>{key ? "The key is only in this page: copy it, or a setting with it, before you leave." : "Without a key the settings name the variable HEADRACE_KEY, which you set yourself."}</p>
      </Panel>
      <div class="tabs" role="navigation" aria-label="Clients">
        {clients.map((c) => <a href={"?client=" + c.id} aria-current={c === client ? "page" : undefined} onClick={(e) => { e.preventDefault(); setQuery({ client: c.id }); }}>{c.name}</a>)}
      </div>
      <Settings client={client} base={location.origin} secret={key} model={model} />
    </Page>
  );
}

function Settings(p: { client: Client; base: string; secret: string; model: string }) {
  const blocks = p.client.blocks({ base: p.base, key: p.secret, model: p.model });
  return (
    <Panel title={p.client.name} actions={<span class="small muted">{p.client.tested}</span>}>
      <div class="stack">
        <p>{p.client.how}</p>
        {blocks.map((b) => (
          <div class="tight">
            <h3>{b.name}</h3>
            <Code text={b.text} label={p.client.name + ", " + b.name} />
          </div>
        ))}
      </div>
    </Panel>
  );
}
