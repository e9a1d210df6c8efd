import { useState } from "preact/hooks";
import { useApi } from "../api.js";
import { compact, count, money, percent, plural, rate, span } from "../format.js";
import { setQuery, url } from "../route.js";
import type { PageProps } from "../app.js";
import type { Comparison, Model, ModelList, Status, TargetHealth } from "../schema.js";
import { Bars, Button, Check, Dialog, Empty, Input, Page, Panel, Select, Shown, Table, Tag } from "../ui.js";

const step = 50;

export default function Models({ at }: PageProps) {
  const q = at.query;
  const all = q.get("all") === "true";
  const models = useApi<ModelList>(all ? "models?all=true" : "models");
  const status = useApi<Status>("status", 10000);
  const [picked, pick] = useState<string[]>([]);
  const [comparing, compare] = useState(false);
  const [most, setMost] = useState(step);
  const text = (q.get("q") ?? "").toLowerCase(), provider = q.get("provider") ?? "", needs = q.get("needs") ?? "", window = Number(q.get("window") ?? 0);
  const targets = new Map(status.data?.targets.map((t) => [t.provider + "/" + t.model, t]));
  const rows = (models.data?.models ?? []).filter((m) => (!text || m.id.toLowerCase().includes(text) || m.name.toLowerCase().includes(text) || m.aliases.some((a) => a.toLowerCase().includes(text))) && (!provider || m.provider === provider) && (!needs || m.features.includes(needs)) && m.window >= window);
  const providers = [...new Set(models.data?.models.map((m) => m.provider))];
  const features = [...new Set(models.data?.models.flatMap((m) => m.features))].sort();
  const chosen = picked.map((id) => models.data?.models.find((m) => m.id === id)).filter((m) => m !== undefined);
  return (
    <Page title="Models" lead="What can be asked for, at what price, and how it did for your own traffic. Prices are in US dollars for a million tokens.">
      <Panel flush title={models.data ? count(rows.length) + (rows.length === 1 ? " model" : " models") : "Models"} actions={<Button onClick={() => compare(true)} disabled={chosen.length < 2} title="Tick two to four models">Compare{chosen.length ? " " + chosen.length : ""}</Button>}>
        <div class="in" style={{ borderBottom: "1px solid var(--line)" }}>
          <div class="filters">
            <Input wide label="Search" type="search" value={q.get("q") ?? ""} set={(v) => { setQuery({ q: v }); setMost(step); }} placeholder="name or alias" />
            <Select label="Provider" value={provider} set={(v) => setQuery({ provider: v })} options={[["", "all"], ...providers.map((p): [string, string] => [p, p])]} />
            <Select label="Can" value={needs} set={(v) => setQuery({ needs: v })} options={[["", "anything"], ...features.map((f): [string, string] => [f, f.replaceAll("_", " ")])]} />
            <Select label="Window at least" value={String(window || "")} set={(v) => setQuery({ window: v })} options={[["", "any"], ["32000", "32 K"], ["128000", "128 K"], ["200000", "200 K"], ["1000000", "1 M"]]} />
            <Check label="Also of providers without a key" value={all} set={(v) => setQuery({ all: v ? "true" : "" })} />
          </div>
        </div>
        <Shown from={models} height={420}>
          {() => rows.length ? (
            <>
              <Table label="Models" rows={rows.slice(0, most)} id={(m) => m.id} dim={(m) => !m.usable} loading={models.loading} columns={[
                { name: "Model", by: (m) => m.id, cell: (m) => <span class="row" style={{ flexWrap: "nowrap", alignItems: "flex-start" }}>
                  <input type="checkbox" style={{ marginTop: "2px" }} aria-label={"Compare " + m.id} checked={picked.includes(m.id)} onChange={(e) => pick(e.currentTarget.checked ? [...picked.slice(-3), m.id] : picked.filter((x) => x !== m.id))} />
                  <span class="tight" style={{ gap: 0 }}><span class="mono nowrap">{m.id}</span>{m.name && m.name !== m.id && <span class="small muted">{m.name}</span>}</span>
                </span> },
                { name: "Input", num: true, by: (m) => m.price?.input ?? Infinity, cell: (m) => (m.price ? rate(m.price.input) : <span class="muted">unknown</span>) },
                { name: "Output", num: true, by: (m) => m.price?.output ?? Infinity, cell: (m) => (m.price ? rate(m.price.output) : "") },
                { name: "Cached", num: true, low: true, by: (m) => m.price?.cache_read ?? Infinity, cell: (m) => (m.price?.cache_read !== undefined ? rate(m.price.cache_read) : <span class="muted">–</span>) },
                { name: "Window", num: true, by: (m) => m.window, cell: (m) => (m.window ? compact(m.window) : "–") },
                { name: "Answer", num: true, low: true, by: (m) => m.max_output, cell: (m) => (m.max_output ? compact(m.max_output) : "–") },
                { name: "Can", low: true, cell: (m) => <Features m={m} /> },
                { name: "First byte", num: true, low: true, by: (m) => targets.get(m.id)?.first_byte.p50 ?? Infinity, cell: (m) => <Measured t={targets.get(m.id)} /> },
                { name: "Success", num: true, low: true, by: (m) => targets.get(m.id)?.success_rate ?? -1, cell: (m) => { const t = targets.get(m.id); return t?.attempts ? percent(t.success_rate) : <span class="muted">–</span>; } },
              ]} />
              {rows.length > most && <div class="in"><Button onClick={() => setMost(most + step)}>Show {count(Math.min(step, rows.length - most))} more of {count(rows.length)}</Button></div>}
            </>
          ) : (
            <Empty title="No model fits" actions={<><Button onClick={() => setQuery({ q: "", provider: "", needs: "", window: "" })}>Clear the filters</Button>{!all && <Button onClick={() => setQuery({ all: "true" })}>Look at all providers</Button>}</>}>
              Only models of providers that have a key are listed.
            </Empty>
          )}
        </Shown>
      </Panel>
      {models.data && <What />}
      {comparing && <Compare rows={chosen} targets={targets} close={() => compare(false)} />}
    </Page>
  );
}

const telling = ["tools", "vision", "thinking", "json_schema", "pdf", "audio"];

function Features({ m }: { m: Model }) {
  const rank = (f: string) => (telling.indexOf(f) + 1 || telling.length + 1);
  const all = [...m.features].sort((a, b) => rank(a) - rank(b)), shown = all.slice(0, 3);
  return <span class="row" style={{ gap: "4px", flexWrap: "nowrap" }}>{shown.map((f) => <Tag>{f.replaceAll("_", " ")}</Tag>)}{m.features.length > 3 && <span class="small muted" title={all.slice(3).join(", ").replaceAll("_", " ")}>+{m.features.length - 3}</span>}</span>;
}

function Measured({ t }: { t?: TargetHealth }) {
  return t?.first_byte.count ? <span title={"p99 " + span(t.first_byte.p99 * 1000)}>{span(t.first_byte.p50 * 1000)}</span> : <span class="muted">–</span>;
}

function Compare(p: { rows: Model[]; targets: Map<string, TargetHealth>; close: () => void }) {
  const figures: [string, (m: Model) => number | undefined, (n: number) => string][] = [
    ["Input, a million tokens", (m) => m.price?.input, rate],
    ["Output, a million tokens", (m) => m.price?.output, rate],
    ["Read from its cache", (m) => m.price?.cache_read, rate],
    ["Context window", (m) => m.window || undefined, compact],
    ["Largest answer", (m) => m.max_output || undefined, compact],
    ["First byte, p50", (m) => p.targets.get(m.id)?.first_byte.p50, (n) => span(n * 1000)],
    ["A token, p50", (m) => p.targets.get(m.id)?.per_token.p50, (n) => span(n * 1000)],
    ["Success", (m) => p.targets.get(m.id)?.success_rate, percent],
  ];
  return (
    <Dialog title="Compare" wide close={p.close}>
      <div class="cols">
        {figures.map(([name, of, show]) => {
          const known = p.rows.filter((m) => of(m) !== undefined);
          return (
            <div class="tight">
              <h3>{name}</h3>
              {known.length ? <Bars label={name} items={p.rows.map((m, i) => ({ name: <span class="mono small">{m.id}</span>, value: of(m) ?? 0, shown: of(m) === undefined ? "unknown" : show(of(m)!), color: `var(--c${i + 1})` }))} /> : <p class="small muted">Not measured yet.</p>}
            </div>
          );
        })}
      </div>
    </Dialog>
  );
}

function What() {
  const what = useApi<Comparison>("compare?since=7d");
  return (
    <Panel title="What would the last 7 days cost on ..." flush foot={what.data?.notes.join(" ")}>
      <Shown from={what} height={240}>
        {(c) => {
          const w = c.workload;
          if (!w.requests) return <Empty title="Nothing was used in the last 7 days" actions={<a class="btn" href={url("connect")}>Connect a client</a>}>When there is traffic, this table says what it would have cost on every model that you can use.</Empty>;
          return (
            <>
              <div class="in small muted">{count(w.requests)} requests with {compact(w.prompt_tokens)} tokens in and {compact(w.output_tokens)} out, for which {money(w.cost_nanodollars)} was paid{w.unpriced ? ` (${count(w.unpriced)} have no known price and are not in it)` : ""}{w.sampled < w.requests ? `; ${count(w.sampled)} of them stand for all` : ""}.</div>
              <Table label="What the last 7 days would cost" rows={c.models.filter((m) => m.usable).slice(0, 24)} id={(m) => m.id} dim={(m) => m.cost_nanodollars === undefined} columns={[
                { name: "Model", cell: (m) => <span class="mono nowrap">{m.id}</span>, by: (m) => m.id },
                { name: "Would cost", num: true, cell: (m) => (m.cost_nanodollars === undefined ? <span class="muted">unknown</span> : money(m.cost_nanodollars)), by: (m) => m.cost_nanodollars ?? Infinity },
                { name: "Against what was paid", num: true, cell: (m) => (m.against === undefined ? <span class="muted">–</span> : <span class={m.against < 0 ? "ok" : ""}>{m.against < 0 ? "−" : "+"}{percent(Math.abs(m.against), 0)}</span>), by: (m) => m.against ?? Infinity },
                { name: "Tokens in", num: true, low: true, cell: (m) => <span title={`${m.tokenizer}: ${m.token_ratio.toFixed(2)} times as many`}>{compact(m.prompt_tokens)}</span>, by: (m) => m.prompt_tokens },
                { name: "Could not", low: true, cell: (m) => (m.too_long || m.cannot_do ? <span class="warn">{[m.too_long && plural(m.too_long, "request") + " too long", m.cannot_do && plural(m.cannot_do, "request") + " need " + m.lacks.join(", ").replaceAll("_", " ")].filter(Boolean).join("; ")}</span> : m.unknown ? <span class="muted">not known</span> : "") },
              ]} />
            </>
          );
        }}
      </Shown>
    </Panel>
  );
}
