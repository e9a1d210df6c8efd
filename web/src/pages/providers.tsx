import { useState } from "preact/hooks";
import { call, may, useApi } from "../api.js";
import { count, money, percent, plural, span, words } from "../format.js";
import { url } from "../route.js";
import type { PageProps } from "../app.js";
import type { Credential, CredentialLimit, CredentialState, Provider, ProviderAnswer, ProviderList, ProviderTested, Refreshed, Status, TargetHealth } from "../schema.js";
import { Ago, Button, Choice, Dialog, Empty, Input, Meter, Page, Panel, Problem, say, Shown, Table, Tag } from "../ui.js";

export default function Providers({ at }: PageProps) {
  return at.path[1] ? <One id={at.path[1]} /> : <List />;
}

function One({ id }: { id: string }) {
  const path = "providers/" + encodeURIComponent(id);
  const loaded = useApi<ProviderAnswer>(path, 4000);
  const [adding, add] = useState(false);
  const [drop, setDrop] = useState<Credential>();
  const [name, setName] = useState(""), [key, setKey] = useState(""), [model, setModel] = useState("");
  const [busy, setBusy] = useState(false);
  const [tested, setTested] = useState<ProviderTested>();
  const [error, setError] = useState<unknown>();
  const write = may("providers.write");
  const test = async () => {
    setBusy(true);
    setError(undefined);
    setTested(undefined);
    try {
      setTested(await call<ProviderTested>("POST", path + "/test", { model }));
    } catch (e) {
      setError(e);
    }
    setBusy(false);
  };
  return (
    <Page title={"Provider " + (loaded.data?.detail.provider.name || id)} lead={<a href={url("providers")}>All providers</a>} actions={write && <Button kind="main" onClick={() => add(true)}>Add a key</Button>}>
      <Shown from={loaded} height={420}>
        {({ detail: d }) => (
          <>
            <div class="two">
              <Panel title="As it is found">
                <dl class="kv">
                  <dt>State</dt><dd><State p={d.provider} targets={d.targets} /></dd>
                  <dt>Found by</dt><dd class="mono">{d.provider.source || "–"}</dd>
                  <dt>Speaks</dt><dd>{d.provider.dialect}</dd>
                  <dt>Base URL</dt><dd class="mono">{d.provider.base_url || "–"}</dd>
                  <dt>Models</dt><dd><a href={url("models") + "?provider=" + encodeURIComponent(id)}>{count(d.provider.models)}</a></dd>
                </dl>
              </Panel>
              <Panel title="Test with one call">
                <div class="form">
                  {write ? <div class="filters"><Input wide label="Model" value={model} set={setModel} placeholder="its cheapest one" autocomplete="off" /><Button onClick={() => void test()} disabled={busy}>{busy ? "Asking" : "Ask for one word"}</Button></div> : <p class="muted">Your role may not make calls that are paid for.</p>}
                  {error !== undefined && <Problem error={error} />}
                  {tested ? (
                    <div class={"note " + (tested.ok ? "ok" : "bad")} role="status">
                      <b>{tested.ok ? "It answers" : "It does not answer"}</b> <span class="mono small">{tested.model}</span>
                      <div class="wrap">{tested.ok ? "“" + tested.answer + "”" : (tested.class ? words(tested.class) + ": " : "") + (tested.message ?? "status " + tested.status)}</div>
                      <div class="row small muted"><span>{span(tested.total_ms)}</span>{tested.cost.priced && <span>{money(tested.cost.nanodollars)}</span>}{tested.request && <a href={url("requests", tested.request)}>the request</a>}</div>
                    </div>
                  ) : <p class="small muted">It is paid for, and stands in the ledger like any request.</p>}
                </div>
              </Panel>
            </div>
            <Panel flush title="Keys" foot="A key that is put here is sealed, used at once beside the others, and never shown again.">
              {d.credentials.length ? <Table label="Keys of the provider" rows={d.credentials} id={(c) => c.name + c.source} columns={[
                { name: "Name", cell: (c) => c.name },
                { name: "Ends with", cell: (c) => (c.last ? <span class="mono">…{c.last}</span> : <span class="muted">–</span>) },
                { name: "State", cell: (c) => (c.state ? <Aside c={c.state} /> : <span class="muted">nothing known yet</span>) },
                { name: "Comes from", low: true, cell: (c) => <span class="wrap">{c.stored ? <>put here{c.added && <> <Ago at={c.added} /></>}</> : c.source}</span> },
                { name: "Limits", low: true, cell: (c) => <span class="tight">{c.state?.limits.slice(0, 4).map((l) => <Limit l={l} />)}</span> },
                { name: <span class="sr">What to do</span>, num: true, cell: (c) => write && c.stored && <Button slim kind="danger" onClick={() => setDrop(c)} label={"Remove " + c.name}>Remove</Button> },
              ]} /> : <Empty title="It has no key" actions={write && <Button kind="main" onClick={() => add(true)}>Add a key</Button>}>Put one here, or set the vendor's usual variable and start again.</Empty>}
            </Panel>
            <Targets rows={d.targets} />
          </>
        )}
      </Shown>
      {adding && <Dialog title={"A key of " + id} close={() => add(false)} action="Keep it" submit={async () => {
        await call("POST", path + "/credentials", { name, key });
        setName("");
        setKey("");
        add(false);
        loaded.reload();
      }}>
        <Input label="Name" value={name} set={setName} required maxLength={64} placeholder="main" autofocus />
        <Input label="Key" type="password" value={key} set={setKey} required autocomplete="off" spellcheck={false} hint="It is sealed, and never shown again." />
      </Dialog>}
      {drop && <Dialog title={"Remove " + drop.name} close={() => setDrop(undefined)} danger action="Remove" submit={async () => {
        await call("DELETE", path + "/credentials/" + encodeURIComponent(drop.name));
        setDrop(undefined);
        loaded.reload();
      }}><p>Requests that run are answered to their end; new ones take another key.</p></Dialog>}
    </Page>
  );
}

function List() {
  const providers = useApi<ProviderList>("providers", 15000);
  const status = useApi<Status>("status", 3000);
  const [view, setView] = useState("ready");
  const [busy, setBusy] = useState(false);
  const refresh = async () => {
    setBusy(true);
    try {
      const r = await call<Refreshed>("POST", "models/refresh");
      say(`${plural(r.added, "model")} added, ${r.changed} changed, ${r.gone} gone`);
      providers.reload();
    } catch (e) {
      say(String((e as Error).message));
    }
    setBusy(false);
  };
  return (
    <Page title="Providers" lead="Where requests go. They are found in the environment and in the configuration; Ollama on this machine is found by itself."
      actions={may("models.write") && <Button onClick={() => void refresh()} disabled={busy}>{busy ? "Asking" : "Ask them for their models"}</Button>}>
      <Panel flush title="Providers" actions={<Choice label="Which providers" value={view} set={setView} options={[["ready", "Ready"], ["all", "All that were looked for"]]} />}>
        <Shown from={providers} height={220}>
          {({ providers: all }) => {
            const rows = all.filter((p) => view === "all" || p.state === "ready");
            return rows.length ? (
              <Table label="Providers" rows={rows} id={(p) => p.id} dim={(p) => p.state !== "ready"} columns={[
                { name: "Provider", by: (p) => p.name || p.id, cell: (p) => <span class="tight" style={{ gap: 0 }}><a href={url("providers", p.id)}>{p.name || p.id}</a><span class="mono muted small">{p.id}</span></span> },
                { name: "State", cell: (p) => <State p={p} targets={status.data?.targets ?? []} /> },
                { name: "Found by", low: true, cell: (p) => <span class="mono wrap">{p.source || "–"}</span> },
                { name: "Speaks", low: true, cell: (p) => p.dialect },
                { name: "Base URL", low: true, cell: (p) => <span class="mono wrap">{p.base_url || "–"}</span> },
                { name: "Models", num: true, by: (p) => p.models, cell: (p) => (p.models ? <a href={url("models") + "?provider=" + encodeURIComponent(p.id)}>{count(p.models)}</a> : "–") },
              ]} />
            ) : (
              <Empty title="No provider is configured" actions={<Button onClick={() => setView("all")}>Which ones are known</Button>}>Set a vendor's usual variable, such as ANTHROPIC_API_KEY or OPENAI_API_KEY, and start again, or name the provider in the configuration.</Empty>
            );
          }}
        </Shown>
      </Panel>
      <Shown from={status}>{(s) => <><Credentials rows={s.credentials} /><Targets rows={s.targets} /></>}</Shown>
    </Page>
  );
}

function State({ p, targets }: { p: Provider; targets: TargetHealth[] }) {
  if (p.state === "skipped") return <span class="tight"><Tag>not used</Tag>{p.advice && <span class="small muted wrap">{p.advice}</span>}</span>;
  if (p.state === "disabled") return <Tag>switched off</Tag>;
  const open = targets.filter((t) => t.provider === p.id && t.breaker !== "closed").length;
  return open ? <Tag tone="bad" dot>{plural(open, "model")} set aside</Tag> : <Tag tone="ok" dot>ready</Tag>;
}

function Credentials({ rows }: { rows: CredentialState[] }) {
  return (
    <Panel title="Credentials" flush foot="Limits are what the operator says and what the answers of the provider tell. A credential that is refused or spent is set aside on its own.">
      {rows.length ? (
        <Table label="Credentials" rows={rows} id={(c) => c.provider + "/" + c.name} columns={[
          { name: "Credential", cell: (c) => <span><b>{c.provider}</b> <span class="muted">{c.name}</span></span>, by: (c) => c.provider },
          { name: "State", cell: (c) => <Aside c={c} /> },
          { name: "Running", num: true, cell: (c) => count(c.running) + (c.parallel ? " of " + count(c.parallel) : "") },
          { name: "Limits, the fullest first", cell: (c) => <span class="tight">{c.limits.slice(0, 4).map((l) => <Limit l={l} />)}{c.limits.length === 0 && <span class="muted">none known</span>}{c.limits.length + c.more_limits > 4 && <span class="small muted">and {c.limits.length + c.more_limits - 4} more</span>}</span> },
        ]} />
      ) : (
        <Empty title="Nothing is known of any credential yet">After the first answers of a provider its limits stand here, with what is left of them.</Empty>
      )}
    </Panel>
  );
}

function Aside({ c }: { c: CredentialState }) {
  if (c.state === "set_aside") {
    return <span class="tight">{c.set_aside.map((a) => <span class="tight"><Tag tone="bad" dot>set aside for {a.op}</Tag><span class="small muted wrap">{words(a.class)}: {a.message}; probed <Ago at={a.until} /></span></span>)}</span>;
  }
  if (c.state === "rate_limited") return <span class="tight"><Tag tone="warn" dot>waits for its limit</Tag>{c.pauses.map((p) => <span class="small muted">{p.model ?? "all models"}: <Ago at={p.until} /></span>)}</span>;
  return <Tag tone="ok" dot>ready</Tag>;
}

function Limit({ l }: { l: CredentialLimit }) {
  const used = 1 - l.left / Math.max(1, l.limit);
  return (
    <span class="row" style={{ flexWrap: "nowrap" }} title={l.source + (l.model ? ", for " + l.model : "")}>
      <span style={{ width: "72px" }}><Meter tone={used > 0.9 ? "bad" : used > 0.7 ? "warn" : ""} parts={[{ share: used }]} label={percent(used) + " used"} /></span>
      <span class="small nowrap">{count(l.left)} of {count(l.limit)} {words(l.kind)}</span>
      <span class="small muted nowrap lo">{l.source}{l.model ? " · " + l.model : ""}</span>
    </span>
  );
}

function Targets({ rows }: { rows: TargetHealth[] }) {
  return (
    <Panel title="Health of the models that were asked, the last 15 minutes" flush>
      {rows.length ? (
        <Table label="Health of targets" rows={rows} id={(t) => t.provider + "/" + t.model} sort={[2, -1]} columns={[
          { name: "Target", cell: (t) => <span class="mono wrap">{t.provider}/{t.model}</span>, by: (t) => t.provider + t.model },
          { name: "Breaker", cell: (t) => <Tag dot tone={t.breaker === "closed" ? "ok" : t.breaker === "open" ? "bad" : "warn"}>{t.breaker === "closed" ? "closed" : t.breaker === "open" ? "open: set aside" : "being probed"}</Tag> },
          { name: "Attempts", num: true, cell: (t) => count(t.attempts), by: (t) => t.attempts },
          { name: "Success", num: true, cell: (t) => (t.attempts ? percent(t.success_rate) : "–"), by: (t) => t.success_rate },
          { name: "First byte p50", num: true, low: true, cell: (t) => (t.first_byte.count ? span(t.first_byte.p50 * 1000) : "–"), by: (t) => t.first_byte.p50 },
          { name: "p99", num: true, low: true, cell: (t) => (t.first_byte.count ? span(t.first_byte.p99 * 1000) : "–"), by: (t) => t.first_byte.p99 },
          { name: "A token", num: true, low: true, cell: (t) => (t.per_token.count ? span(t.per_token.p50 * 1000) : "–"), by: (t) => t.per_token.p50 },
          { name: "Failures", cell: (t) => (t.failed.length ? t.failed.map((f) => count(f.count) + " " + words(f.class)).join(", ") : <span class="muted">none</span>) },
        ]} />
      ) : (
        <Empty title="Nothing was asked in the last 15 minutes" actions={<a class="btn" href={url("playground")}>Ask something</a>}>Latency and success of each model are measured on your own traffic.</Empty>
      )}
    </Panel>
  );
}
