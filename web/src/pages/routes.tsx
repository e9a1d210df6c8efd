import { useApi, query } from "../api.js";
import { compact, count, money, percent, rate, words } from "../format.js";
import { setQuery, url } from "../route.js";
import type { PageProps } from "../app.js";
import type { ErrorTable, Route, RouteList, Rung, SuccessAnswer } from "../schema.js";
import { Choice, Empty, Page, Panel, Shown, Table, Tag } from "../ui.js";

export default function Routes({ at }: PageProps) {
  const since = at.query.get("since") ?? "7d";
  const routes = useApi<RouteList>(query("routes", { since }), 15000);
  const name = at.path[1];
  return (
    <Page title={name ? "Route " + name : "Routes"} lead={name ? <a href={url("routes")}>All routes</a> : "A name of yours that leads to several models: a list takes the first that can answer, a ladder begins with the cheapest and climbs when an answer is not what it must be."}
      actions={<Choice label="Since" value={since} set={(v) => setQuery({ since: v === "7d" ? "" : v })} options={[["24h", "24 h"], ["7d", "7 days"], ["30d", "30 days"]]} />}>
      <Shown from={routes} height={420}>
        {({ routes: all }) => {
          const rows = all.filter((r) => !name || r.name === name).sort((a, b) => Number(b.declared) - Number(a.declared) || b.used.requests - a.used.requests || a.name.localeCompare(b.name));
          if (!rows.length) {
            return <Panel label="Routes"><Empty title={name ? "There is no such route" : "There is no route yet"} actions={<a class="btn" href={url("settings")}>To the configuration</a>}>A route is a line of the configuration: <code>smart: [anthropic/claude-opus-5-5, openai/gpt-5.5]</code> under <code>routes</code>. Clients then ask for the model “smart”.</Empty></Panel>;
          }
          return <>{rows.map((r) => <Picture r={r} key={r.name} />)}<Successes route={name} since={since} />{name && <Errors route={name} />}</>;
        }}
      </Shown>
    </Page>
  );
}

function Picture({ r }: { r: Route }) {
  return (
    <Panel flush title={<span class="row"><a class="mono" href={url("routes", r.name)}>{r.name}</a><Tag tone={r.kind === "ladder" ? "accent" : ""}>{r.kind}</Tag>{!r.declared && <Tag title="It comes with the program">ready-made</Tag>}</span>}
      actions={<span class="small muted">{r.used.requests ? <><a href={url("requests") + "?since=7d&route=" + encodeURIComponent(r.name)}>{compact(r.used.requests)} requests</a>, {money(r.used.cost_nanodollars)}</> : "not asked yet"}</span>}
      foot={r.success.length > 0 ? "An answer must be: " + r.success.join("; ") : undefined}>
      <Table label={"Rungs of " + r.name} rows={r.rungs.map((x, i) => ({ ...x, i }))} id={(x) => x.i} dim={(x) => !x.usable} columns={[
        { name: r.kind === "ladder" ? "Rung" : "Target", cell: (x) => <span class="row" style={{ flexWrap: "nowrap" }}><span class="step" aria-hidden="true">{x.i + 1}</span><span class="mono nowrap">{x.model}</span>{x.thinking && <Tag>thinks {x.thinking}</Tag>}{!x.usable && <Tag tone="warn" title="Its provider is not configured">no key</Tag>}</span> },
        { name: "Share", class: "share", cell: (x) => <Share x={x} /> },
        { name: "Success", num: true, cell: (x) => (x.success_rate === undefined ? <span class="muted">–</span> : <span class={x.success_rate < 0.9 ? "warn" : ""}>{percent(x.success_rate)}</span>) },
        { name: "A success costs", num: true, cell: (x) => (x.cost_per_success_nanodollars === undefined ? <span class="muted">–</span> : money(x.cost_per_success_nanodollars)) },
        { name: "Attempts", num: true, low: true, cell: (x) => count(x.used.attempts) },
        { name: "Cost", num: true, low: true, cell: (x) => money(x.used.cost_nanodollars) },
        { name: "Price, in and out", num: true, low: true, cell: (x) => (x.price ? rate(x.price.input) + " / " + rate(x.price.output) : <span class="muted">unknown</span>) },
      ]} />
    </Panel>
  );
}

function Share({ x }: { x: Rung }) {
  return <span class="row" style={{ flexWrap: "nowrap", minWidth: "110px" }}><span class="grow" aria-hidden="true"><span class="bar" style={{ display: "block", "--w": x.share * 100, "--c": "var(--c1)" }} /></span><span class="num" style={{ width: "52px" }}>{percent(x.share)}</span></span>;
}

function Successes({ route, since }: { route?: string; since: string }) {
  const loaded = useApi<SuccessAnswer>(query("success", { by: "route,task,model", since }));
  return (
    <Panel title="What a success costs" flush foot="A success is what somebody said it was; where nobody said anything, an answer that came whole, in which no check found a fault and after which no sign told a failure.">
      <Shown from={loaded}>
        {({ rows: all }) => {
          const rows = all.filter((r) => !route || r.route === route);
          return rows.length ? <Table label="What a success costs" rows={rows.slice(0, 50)} id={(r) => r.route + "\0" + r.task + "\0" + r.model} columns={[
            { name: "Asked for", cell: (r) => <span class="mono nowrap">{r.route || "–"}</span>, by: (r) => r.route },
            { name: "Task", cell: (r) => <span class="cut" style={{ display: "block" }} title={r.task}>{r.task || <span class="muted">–</span>}</span>, by: (r) => r.task },
            { name: "Answered by", low: true, cell: (r) => <span class="mono nowrap">{r.model || <span class="muted">nobody</span>}</span>, by: (r) => r.model },
            { name: "Requests", num: true, cell: (r) => count(r.requests), by: (r) => r.requests },
            { name: "Escalated", num: true, low: true, cell: (r) => count(r.escalated), by: (r) => r.escalated },
            { name: "Successes", num: true, cell: (r) => <span title={`${count(r.explicit)} with feedback, ${count(r.implicit)} with a sign of failure, ${count(r.ended_well)} ended well`}>{percent(r.successes / Math.max(1, r.requests))}</span>, by: (r) => r.successes / Math.max(1, r.requests) },
            { name: "A success costs", num: true, cell: (r) => (r.cost_per_success_nanodollars === undefined ? <span class="muted">–</span> : money(r.cost_per_success_nanodollars)), by: (r) => r.cost_per_success_nanodollars ?? Infinity },
            { name: "Cost", num: true, low: true, cell: (r) => money(r.cost_nanodollars), by: (r) => r.cost_nanodollars },
          ]} /> : <Empty title="Nothing was asked in this time">Tell what became of an answer with <code>POST /v1/feedback</code>; then this says what a success really costs.</Empty>;
        }}
      </Shown>
    </Panel>
  );
}

function Errors({ route }: { route: string }) {
  const table = useApi<ErrorTable>(query("errors", { route }));
  return (
    <Panel title="What is done about each class of error" flush>
      <Shown from={table}>
        {({ classes }) => <Table label="Error classes" rows={classes} id={(c) => c.class} columns={[
          { name: "Class", cell: (c) => words(c.class) },
          { name: "It means", low: true, cell: (c) => c.means },
          { name: "What is done", cell: (c) => c.does },
          { name: "Repeats", num: true, low: true, cell: (c) => count(c.repeat) },
          { name: "Next target", cell: (c) => (c.next ? <Tag tone="ok">yes</Tag> : <Tag>no</Tag>) },
          { name: "Client sees", num: true, cell: (c) => c.status },
        ]} />}
      </Shown>
    </Panel>
  );
}
