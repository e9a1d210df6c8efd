import { useEffect, useState } from "preact/hooks";
import { query, useApi, useEvents } from "../api.js";
import { compact, count, money, percent, plural, span, words } from "../format.js";
import { setQuery, url } from "../route.js";
import type { PageProps } from "../app.js";
import type { KeyList, OverviewAnswer, ProviderHealth, Pulse, Request, RequestList, Saving, UsageAnswer } from "../schema.js";
import { Chart } from "../chart.js";
import { Bars, Choice, Empty, Figures, Meter, Page, Panel, Problem, Shown, Tag, type Tone } from "../ui.js";
import { Rows } from "./requests.js";

/** kept is how many seconds the live chart shows. */
const kept = 120;

export default function Overview({ at }: PageProps) {
  const overview = useApi<OverviewAnswer>("overview", 5000);
  const first = useApi<RequestList>("requests?limit=8");
  const keys = useApi<KeyList>("keys");
  const names = new Map(keys.data?.keys.map((k) => [k.id, k.name || k.id]));
  const [rows, setRows] = useState<Request[]>([]);
  const [pulses, setPulses] = useState<Pulse[]>([]);
  const on = useEvents({
    counts: (p) => setPulses((all) => [...all.slice(1 - kept), p]),
    request: (r) => setRows((all) => [r, ...all.filter((x) => x.id !== r.id)].slice(0, 8)),
  });
  useEffect(() => {
    if (first.data) setRows((all) => [...all, ...first.data!.requests.filter((r) => !all.some((x) => x.id === r.id))].slice(0, 8));
  }, [first.data]);
  const o = overview.data?.overview;
  const live = pulses.at(-1) ?? o?.live;
  const lately = pulses.slice(-10);
  const saved = o?.savings.reduce((n, s) => n + s.saved_nanodollars, 0) ?? 0;
  const view = at.query.get("view") ?? "day";
  return (
    <Page title="Overview" actions={<span class={"live" + (on ? "" : " off")}><span class="dot" />{on ? "live" : "connecting"}</span>}>
      {overview.error && <Problem error={overview.error} />}
      <Figures items={[
        { name: "Running now", value: count(live?.running ?? 0), note: `${count(live?.waiting ?? 0)} waiting, ${(lately.reduce((n, p) => n + p.requests, 0) / Math.max(1, lately.length)).toFixed(1)} a second` },
        { name: "Requests today", value: o ? compact(o.today.requests) : "–", note: o ? plural(o.today.failed, "request") + " failed" : "" },
        { name: "Spent today", value: o ? money(o.today.cost_nanodollars) : "–", note: o ? money(o.month.cost_nanodollars) + " this month" : "", title: o && (o.month.unpriced ? `without ${count(o.month.unpriced)} attempts of this month that have no known price` : undefined) },
        { name: "Saved this month", value: o ? money(saved) : "–", tone: saved > 0 ? "ok" : "", note: "batch, cache, routing" },
        { name: "Success", value: o?.recent.success_rate === undefined ? "–" : percent(o.recent.success_rate), tone: o?.recent.success_rate !== undefined && o.recent.success_rate < 0.95 ? "bad" : "", note: o ? "of the last " + compact(o.recent.requests) + (o.recent.capped ? "+" : "") : "" },
        { name: "First byte, p50", value: o?.recent.first_byte_ms.count ? span(o.recent.first_byte_ms.p50) : "–", note: o?.recent.first_byte_ms.count ? "p95 " + span(o.recent.first_byte_ms.p95) : "no stream lately" },
      ]} />
      <div class="wide-left">
        <Panel title="Traffic and spend" actions={<Choice label="Over what time" value={view} set={(v) => setQuery({ view: v === "day" ? "" : v })} options={[["live", "Live"], ["day", "24 h"], ["month", "30 days"]]} />}>
          <div style={{ minHeight: "340px" }}>{view === "live" ? <Live pulses={pulses} /> : <Past view={view} />}</div>
        </Panel>
        <div class="stack" style={{ gridTemplateRows: "auto 1fr" }}>
          <Panel title="Providers" actions={<a href={url("providers")}>All</a>}>
            <Shown from={overview} height={84}>{({ overview: o }) => <Health rows={o.providers} />}</Shown>
          </Panel>
          <Panel title="Errors lately" actions={<a href={url("requests") + "?errors=true"}>All</a>}>
            <Shown from={overview} height={90}>{({ overview: o }) => o.recent.errors.length ? (
              <Bars label="Errors by class" items={o.recent.errors.slice(0, 6).map((e) => ({ name: <a href={url("requests") + "?class=" + e.class}>{words(e.class)}</a>, value: e.count, shown: count(e.count), color: "var(--bad)" }))} />
            ) : <Empty title="No error lately">{plural(o.recent.requests, "request")} went well.</Empty>}</Shown>
          </Panel>
        </div>
      </div>
      <div class="two">
        <Panel title="Saved this month"><Shown from={overview} height={150}>{({ overview: o }) => <Savings rows={o.savings} />}</Shown></Panel>
        <Panel title="Budgets nearest to their limits" actions={<a href={url("budgets")}>All</a>}>
          <Shown from={overview} height={150}>{({ overview: o }) => o.budgets.length ? (
            <div class="stack" style={{ gap: "10px" }}>
              {o.budgets.slice(0, 5).map((b) => {
                const share = b.spent_nanodollars / Math.max(1, b.limit_nanodollars);
                return (
                  <div class="tight" style={{ gap: "4px" }}>
                    <span class="between"><span class="wrap">{b.scope === "key" ? "key " + (names.get(b.subject) ?? b.subject) : b.scope + " " + b.subject} <span class="muted">{b.window}</span></span><span class="nowrap">{money(b.spent_nanodollars)} <span class="muted">of {money(b.limit_nanodollars)}</span></span></span>
                    <Meter tone={b.left_nanodollars <= 0 ? "bad" : b.reached ? "warn" : ""} parts={[{ share }]} label={percent(share) + " spent"} />
                  </div>
                );
              })}
            </div>
          ) : <Empty title="Nothing bounds what is spent" actions={<a class="btn" href={url("budgets") + "?new=team"}>Set a budget</a>}>A budget is a hard stop, for a key, a team or a tag.</Empty>}</Shown>
        </Panel>
      </div>
      <Panel title="The last requests" flush actions={<a href={url("requests")}>All</a>}>
        <Shown from={first} height={300}>
          {() => rows.length ? <Rows rows={rows} short /> : (
            <Empty title="No request yet" actions={<><a class="btn main" href={url("playground")}>Ask something</a><a class="btn" href={url("connect")}>Connect a client</a></>}>The rehearsal provider answers without a key of any vendor.</Empty>
          )}
        </Shown>
      </Panel>
    </Page>
  );
}

function Live({ pulses }: { pulses: Pulse[] }) {
  const end = Math.floor(Date.now() / 1000);
  const by = new Map(pulses.map((p) => [Math.floor(new Date(p.at).getTime() / 1000), p]));
  const times = Array.from({ length: kept }, (_, i) => end - kept + 1 + i);
  const of = (pick: (p: Pulse) => number) => times.map((t) => (by.has(t) ? pick(by.get(t)!) : null));
  const n = pulses.reduce((n, p) => n + p.requests, 0);
  return <Chart summary={`The last two minutes: ${plural(n, "request")}, ${count(pulses.reduce((n, p) => n + p.failed, 0))} failed`} times={times} height={270} most={4}
    series={[{ name: "running", values: of((p) => p.running), color: "--c1" }, { name: "ended, a second", values: of((p) => p.requests), color: "--c3" }, { name: "failed", values: of((p) => p.failed), color: "--bad" }]} show={(v) => (Number.isInteger(v) ? count(v) : "")} />;
}

function Past({ view }: { view: string }) {
  const [bucket, n, seconds] = view === "month" ? (["day", 30, 86400] as const) : (["hour", 24, 3600] as const);
  const usage = useApi<UsageAnswer>(query("usage", { by: bucket, since: view === "month" ? "30d" : "24h" }), 15000);
  return (
    <Shown from={usage} height={340}>
      {(u) => {
        const by = new Map(u.rows.map((r) => [parse(r.name), r]));
        const end = Math.floor(Date.now() / 1000 / seconds) * seconds;
        const times = Array.from({ length: n }, (_, i) => end - (n - 1 - i) * seconds);
        const cost = times.map((t) => (by.get(t)?.cost_nanodollars ?? 0) / 1e9);
        const requests = times.map((t) => by.get(t)?.requests ?? 0), failed = times.map((t) => by.get(t)?.failed ?? 0);
        const total = cost.reduce((a, b) => a + b, 0), all = requests.reduce((a, b) => a + b, 0);
        const name = (t: number) => (view === "month" ? new Date(t * 1000).toISOString().slice(0, 10) : new Date(t * 1000).toISOString().slice(11, 16) + " UTC");
        return (
          <div class="stack" style={{ gap: "4px" }}>
            <Chart summary={`Spend by ${bucket}: ${money(total * 1e9)} in all`} times={times} time={name} height={130} series={[{ name: "US dollars", values: cost, kind: "bars", color: "--c1" }]} show={(v) => (v === 0 ? "$0" : money(v * 1e9))} note={<b>{money(total * 1e9)} in all</b>} />
            <Chart summary={`Requests by ${bucket}: ${plural(all, "request")}, ${count(failed.reduce((a, b) => a + b, 0))} failed`} times={times} time={name} height={100} series={[{ name: "requests", values: requests, kind: "bars", color: "--c3" }, { name: "failed", values: failed, kind: "bars", color: "--bad" }]} show={(v) => (Number.isInteger(v) ? compact(v) : "")} note={<b>{plural(all, "request")}</b>} />
          </div>
        );
      }}
    </Shown>
  );
}

/** parse reads the name of a bucket, a day or a time, as seconds since 1970. */
const parse = (name: string) => Math.floor(new Date(name).getTime() / 1000);

const states: Record<string, Tone> = { ok: "ok", degraded: "warn", down: "bad", idle: "" };

function Health({ rows }: { rows: ProviderHealth[] }) {
  if (!rows.length) return <Empty title="No provider is in use">Set a vendor's usual variable and start again.</Empty>;
  return (
    <ul class="tight" style={{ listStyle: "none", gap: "9px" }}>
      {rows.slice(0, 9).map((p) => (
        <li class="between" style={{ flexWrap: "nowrap" }}>
          <span class="cut">{p.name || p.id}</span>
          <span class="row" style={{ flexWrap: "nowrap" }}>
            <span class="small muted nowrap">{p.attempts ? `${count(p.attempts)} · ${p.success_rate === undefined ? "–" : percent(p.success_rate, 0)}${p.first_byte_p50 ? " · " + span(p.first_byte_p50 * 1000) : ""}` : ""}</span>
            <Tag dot tone={states[p.state]} title={p.aside.length ? "set aside: " + p.aside.join(", ") : undefined}>{p.state}</Tag>
          </span>
        </li>
      ))}
    </ul>
  );
}

function Savings({ rows }: { rows: Saving[] }) {
  return (
    <div class="tight" style={{ gap: "8px" }}>
      {rows.map((s) => (
        <details class="saving">
          <summary class="between"><span>{s.kind}</span><span><b class={s.saved_nanodollars > 0 ? "ok" : s.saved_nanodollars < 0 ? "bad" : "muted"}>{money(s.saved_nanodollars)}</b>{s.against_nanodollars > 0 && <span class="muted small"> of {money(s.against_nanodollars)}</span>}</span></summary>
          <p class="small muted">{s.how}{s.unknown ? ` ${plural(s.unknown, "attempt")} could not be compared for want of a price.` : ""}</p>
        </details>
      ))}
    </div>
  );
}
