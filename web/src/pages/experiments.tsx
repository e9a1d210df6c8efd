import { useState } from "preact/hooks";
import { call, may, useApi } from "../api.js";
import { brief, compact, count, dollars, money, percent, plural, span } from "../format.js";
import { url } from "../route.js";
import type { PageProps } from "../app.js";
import type { Bounded, Experiment, ExperimentAnswer, ExperimentArm, ExperimentList } from "../schema.js";
import { Chart } from "../chart.js";
import { Button, Dialog, Empty, Page, Panel, Select, Shown, Table, Tag, type Tone } from "../ui.js";

export default function Experiments({ at }: PageProps) {
  return at.path[1] ? <One name={at.path[1]} /> : <List />;
}

const phases: Record<string, Tone> = { waiting: "", running: "accent", stopped: "warn", decided: "ok" };
const metrics: Record<string, string> = { success: "success", cost_per_success: "cost of a success", latency: "latency" };

/** shown writes a value of a metric. */
function shown(metric: string, v: number, signed = false): string {
  const sign = signed && v > 0 ? "+" : v < 0 ? "−" : "";
  const a = Math.abs(v);
  return sign + (metric === "success" ? percent(a) : metric === "latency" ? span(a * 1000) : dollars(a));
}

function List() {
  const all = useApi<ExperimentList>("experiments", 10000);
  return (
    <Page title="Experiments" lead="Two or more ways to answer the same requests, shared out by a stable hash. The intervals hold at any time you look.">
      <Panel flush title="Experiments">
        <Shown from={all} height={260}>
          {({ experiments: rows }) => rows.length ? (
            <Table label="Experiments" rows={rows} id={(e) => e.name} columns={[
              { name: "Name", cell: (e) => <span class="tight" style={{ gap: 0 }}><a href={url("experiments", e.name)}>{e.name}</a><span class="small muted">on {e.on}, by {e.unit}</span></span> },
              { name: "Phase", cell: (e) => <Tag dot tone={phases[e.phase]}>{e.phase}</Tag> },
              { name: "Measures", cell: (e) => metrics[e.metric] },
              { name: "Arms", low: true, cell: (e) => e.arms.map((a) => a.name).join(", ") },
              { name: "Units", num: true, cell: (e) => compact(e.arms.reduce((n, a) => n + a.units, 0)) },
              { name: "Shares", low: true, cell: (e) => <Ratio e={e} /> },
              { name: "Where it stands", cell: (e) => e.decision },
            ]} />
          ) : (
            <Empty title="There is no experiment yet" actions={<a class="btn" href={url("settings")}>To the configuration</a>}>Under <code>experiments</code> in the configuration: name a route or model, two or more arms, and what is measured.</Empty>
          )}
        </Shown>
      </Panel>
    </Page>
  );
}

function Ratio({ e }: { e: Experiment }) {
  return e.sample_ratio.broken ? <Tag tone="bad" dot title={`evidence ${e.sample_ratio.evidence.toPrecision(3)}, alarm at ${e.sample_ratio.alarm}`}>not as planned</Tag> : <Tag tone="ok" dot>as planned</Tag>;
}

function One({ name }: { name: string }) {
  const path = "experiments/" + encodeURIComponent(name);
  const loaded = useApi<ExperimentAnswer>(path, 10000);
  const [asking, ask] = useState<"start" | "stop" | "decide">();
  const [arm, setArm] = useState("");
  const e = loaded.data?.experiment;
  return (
    <Page title={"Experiment " + name} lead={<a href={url("experiments")}>All experiments</a>} actions={may("experiments.write") && e && <>
      {(e.phase === "waiting" || e.phase === "stopped") && <Button kind="main" onClick={() => ask("start")}>{e.phase === "waiting" ? "Start" : "Go on"}</Button>}
      {e.phase === "running" && <Button onClick={() => ask("stop")}>Stop</Button>}
      {e.phase !== "decided" && <Button onClick={() => ask("decide")}>Decide</Button>}
    </>}>
      <Shown from={loaded} height={500}>{({ experiment: e }) => <Detail e={e} />}</Shown>
      {asking && e && <Dialog title={asking === "start" ? "Start" : asking === "stop" ? "Stop" : "Decide"} close={() => ask(undefined)} action={asking === "start" ? "Start" : asking === "stop" ? "Stop" : "Decide"} submit={async () => {
        await call("POST", path + "/" + asking, asking === "decide" ? { arm: arm || undefined } : undefined);
        ask(undefined);
        setTimeout(loaded.reload, 1200);
      }}>
        <p>{asking === "start" ? "Requests are shared out among the arms from now on." : asking === "stop" ? "Everybody gets what they ask for again. What was measured stays." : "Everybody new gets one arm. Conversations that run keep theirs."}</p>
        {asking === "decide" && <Select label="For" value={arm} set={setArm} options={[["", e.winner ? "the winner, " + e.winner : "the winner"], ...e.arms.map((a): [string, string] => [a.name, a.name])]} />}
      </Dialog>}
    </Page>
  );
}

function Detail({ e }: { e: Experiment }) {
  const names = e.arms.slice(1);
  const history = e.history ?? [];
  return (
    <>
      <div class={"note " + (e.sample_ratio.broken ? "bad" : e.phase === "decided" ? "ok" : "")}>
        <div class="row"><Tag dot tone={phases[e.phase]}>{e.phase}</Tag><Ratio e={e} />{e.winner && <Tag tone="ok">{e.phase === "decided" ? "winner" : "ahead"}: {e.winner}</Tag>}</div>
        <p style={{ marginTop: "6px" }}>{e.decision}</p>
        <p class="small muted">On {e.on}, by {e.unit}, {e.allocation === "bandit" ? "shares move to the arms that do better" : "fixed shares"}{e.began ? ", since " + brief(e.began) : ""}{e.strays ? `; ${plural(e.strays, "request")} of units that had another arm before ${e.strays === 1 ? "is" : "are"} left out` : ""}.</p>
      </div>
      <Panel flush title={"Arms, by " + metrics[e.metric]}>
        <Table label="Arms" rows={e.arms.map((a, i) => ({ ...a, i }))} id={(a) => a.name} columns={[
          { name: "Arm", cell: (a) => <span class="tight" style={{ gap: 0 }}><span class="row"><b>{a.name}</b>{a.i === 0 && <Tag>control</Tag>}{a.stopped && <Tag tone="bad">stopped by {a.stopped}</Tag>}</span><span class="small muted mono">{[a.model, a.thinking && "thinks " + a.thinking, ...(a.set ?? []).map((s) => s.name + "=" + s.value)].filter(Boolean).join(", ") || "as asked"}</span></span> },
          { name: "Share", num: true, cell: (a) => <span title={"planned " + percent(a.planned_share)}>{percent(a.share, 0)}</span> },
          { name: "Units", num: true, cell: (a) => compact(a.units) },
          { name: "Value", num: true, cell: (a) => (a.value ? shown(e.metric, a.value.value) : <span class="muted">–</span>) },
          { name: "Against the control", cell: (a) => (a.i === 0 ? <span class="muted">it is the control</span> : <Interval b={a.difference} all={names} metric={e.metric} />) },
          { name: "A request", num: true, low: true, cell: (a) => (a.requests ? money(a.cost_nanodollars / a.requests) : "–") },
          { name: "Guardrails", low: true, cell: (a) => a.guardrails.length ? <span class="row" style={{ gap: "4px" }}>{a.guardrails.map((g) => <Tag tone={g.verdict === "harmful" ? "bad" : g.verdict === "harmless" ? "ok" : ""} title={`${g.value.toPrecision(3)} against ${g.control.toPrecision(3)}; ${g.margin} worse is borne`}>{g.name}: {g.verdict}</Tag>)}</span> : <span class="muted">none</span> },
        ]} />
      </Panel>
      <Panel title="The difference to the control over time">
        {history.length > 1 ? (
          <div class="cols">{names.map((a, k) => {
            const at = (pick: (p: { low?: number; high?: number; value: number }, control: number) => number | undefined) => history.map((h) => { const p = h.arms[k + 1]; return p ? pick(p, h.arms[0]?.value ?? 0) ?? null : null; });
            return (
              <div class="tight">
                <h3>{a.name}</h3>
                <Chart summary={`${a.name} against ${e.arms[0]!.name}: the difference in ${metrics[e.metric]} with its always-valid interval`} times={history.map((h) => Math.floor(new Date(h.at).getTime() / 1000))} height={200}
                  series={[{ name: "high", values: at((p) => p.high), kind: "band" }, { name: "low", values: at((p) => p.low), kind: "band" }, { name: "difference", values: at((p, c) => p.value - c) }, { name: "none", values: history.map(() => 0), color: "--c6", dash: true }]} show={(v) => shown(e.metric, v, true)} note="The band is the interval: it holds at any time you look." />
              </div>
            );
          })}</div>
        ) : <Empty title="Nothing to draw yet">A point is kept now and again while it runs.</Empty>}
      </Panel>
      {e.shadow && <Panel flush title="Copies" foot={`${percent(e.shadow.share, 0)} of the requests, ${count(e.shadow.copies)} so far, for ${money(e.shadow.spent_nanodollars)} of ${money(e.shadow.budget_nanodollars)}. Nobody waits for them.`}>
        <Table label="Copies" rows={e.shadow.pairs} id={(p) => p.a + p.b} columns={[
          { name: "Pair", cell: (p) => p.b + " against " + p.a },
          { name: "Requests", num: true, cell: (p) => count(p.n) },
          { name: "Success", num: true, cell: (p) => (p.success ? `${shown("success", p.success.value, true)} (${shown("success", p.success.low, true)} to ${shown("success", p.success.high, true)})` : "–") },
          { name: "Cost a request", num: true, cell: (p) => (p.cost ? `${shown("cost", p.cost.value, true)} (${shown("cost", p.cost.low, true)} to ${shown("cost", p.cost.high, true)})` : "–") },
        ]} />
      </Panel>}
    </>
  );
}

/** Interval draws an interval on a scale that all arms have in common, with a line at no difference. */
function Interval({ b, all, metric }: { b?: Bounded; all: ExperimentArm[]; metric: string }) {
  if (!b) return <span class="muted">nothing can be said yet</span>;
  const known = all.map((a) => a.difference).filter((d) => d !== undefined);
  const low = Math.min(0, ...known.map((d) => d.low)), high = Math.max(0, ...known.map((d) => d.high)), wide = Math.max(1e-12, high - low);
  const x = (v: number) => (100 * (v - low)) / wide;
  const sure = b.low > 0 || b.high < 0;
  const text = `${shown(metric, b.value, true)}, between ${shown(metric, b.low, true)} and ${shown(metric, b.high, true)}`;
  return (
    <span class="tight" style={{ gap: "2px", minWidth: "170px" }}>
      <span class="interval" role="img" aria-label={text}><i class="zero" style={{ "--x": x(0) }} /><i class={sure ? "sure" : ""} style={{ "--x": x(b.low), "--w": (100 * (b.high - b.low)) / wide }} /><i class="point" style={{ "--x": x(b.value) }} /></span>
      <span class="small muted nowrap">{text}</span>
    </span>
  );
}
