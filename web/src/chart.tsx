// Charts over time, drawn as SVG so that they follow the theme. Each has its figures as a table, too, and says in words
// what it shows.
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { moment } from "./format.js";

export interface Series {
  name: string;
  values: (number | null)[];
  /** A token such as --c1. */
  color?: string;
  /** Two bands in a row are the upper and the lower end of an area. */
  kind?: "line" | "bars" | "band";
  dash?: boolean;
}

export interface ChartProps {
  /** What is shown, in a sentence: it stands for the picture where there is none. */
  summary: string;
  /** Seconds since 1970, rising, evenly apart where there are bars. */
  times: number[];
  series: Series[];
  show: (value: number) => string;
  time?: (seconds: number) => string;
  height?: number;
  note?: ComponentChildren;
  /** The least that the upper end of the scale is. */
  most?: number;
}

const colors = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6"];
const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000, 604800, 1209600, 2592000];

/** nice gives steps of 1, 2 or 5 times a power of ten, so that there are about so many. */
function nice(low: number, high: number, about: number): number[] {
  const raw = (high - low) / Math.max(1, about), power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((m) => m * power >= raw) ?? 10);
  const ticks: number[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(i * step || 0); // not -0
  return ticks;
}

/** when gives the times that are named below, at full units of local time. */
function when(low: number, high: number, about: number): [number[], number] {
  const step = steps.find((s) => s >= (high - low) / Math.max(1, about)) ?? steps.at(-1)!;
  const off = new Date(low * 1000).getTimezoneOffset() * 60;
  const ticks: number[] = [];
  for (let t = Math.ceil((low - off) / step) * step + off; t <= high; t += step) ticks.push(t);
  return [ticks, step];
}

/** tick writes a time below the chart: the day where ticks are days apart, or at midnight. */
function tick(seconds: number, step: number): string {
  const d = new Date(seconds * 1000);
  if (step >= 86400 || (d.getHours() === 0 && d.getMinutes() === 0 && d.getSeconds() === 0)) return d.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  return d.toLocaleTimeString("en-GB", step < 60 ? { hour: "2-digit", minute: "2-digit", second: "2-digit" } : { hour: "2-digit", minute: "2-digit" });
}

export function Chart(p: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [under, setUnder] = useState<number>();
  useLayoutEffect(() => {
    const measure = () => setWidth(box.current!.clientWidth);
    measure();
    const watch = new ResizeObserver(measure);
    watch.observe(box.current!);
    return () => watch.disconnect();
  }, []);
  const height = p.height ?? 180, top = 8, bottom = 24, right = 10;
  const series = p.series.map((s, i) => ({ ...s, ink: `var(${s.color ?? colors[i % colors.length]})` }));
  const values = series.flatMap((s) => s.values.filter((v) => v !== null));
  const low = Math.min(0, ...values), high = Math.max(p.most ?? 0, ...values.map((v) => v * 1.06), low + 1e-9);
  const rows = nice(low, high, Math.max(2, Math.floor((height - top - bottom) / 36)));
  const left = 14 + 6.3 * Math.max(3, ...rows.map((v) => p.show(v).length));
  const first = p.times[0] ?? 0, last = p.times.at(-1) ?? 1, apart = (p.times[1] ?? first + 3600) - first;
  const pad = series.some((s) => s.kind === "bars") ? apart * 0.6 : first === last ? 1800 : 0;
  const x = (t: number) => left + ((t - first + pad) / (last - first + 2 * pad)) * (width - left - right);
  const y = (v: number) => height - bottom - ((v - low) / (high - low)) * (height - top - bottom);
  const [columns, step] = when(first - pad, last + pad, (width - left - right) / 72);
  const bar = Math.min(46, 0.72 * (x(first + apart) - x(first)));
  const time = p.time ?? ((s: number) => moment(s * 1000));
  const line = (values: (number | null)[]) => values.map((v, i) => (v === null ? "" : (i === 0 || values[i - 1] === null ? "M" : "L") + x(p.times[i]!).toFixed(1) + " " + y(v).toFixed(1))).join("");
  const area = (upper: (number | null)[], lower: (number | null)[]) => {
    const at = p.times.map((_, i) => i).filter((i) => upper[i] !== null && lower[i] !== null);
    return at.length ? "M" + at.map((i) => x(p.times[i]!) + " " + y(upper[i]!)).join("L") + "L" + at.reverse().map((i) => x(p.times[i]!) + " " + y(lower[i]!)).join("L") + "Z" : "";
  };
  const point = (e: PointerEvent) => {
    const at = e.clientX - box.current!.getBoundingClientRect().left;
    let best = 0;
    p.times.forEach((t, i) => { if (Math.abs(x(t) - at) < Math.abs(x(p.times[best]!) - at)) best = i; });
    setUnder(best);
  };
  const at = under !== undefined && under < p.times.length ? under : undefined;
  return (
    <figure class="chart">
      <figcaption>
        {series.filter((s) => s.kind !== "band").map((s) => (
          <span>
            <i style={{ "--c": s.ink }} />
            {s.name}
            {at !== undefined && s.values[at] != null && <b> {p.show(s.values[at]!)}</b>}
          </span>
        ))}
        {at !== undefined ? <span>{time(p.times[at]!)}</span> : p.note && <span>{p.note}</span>}
      </figcaption>
      <div class="draw" ref={box} role="img" aria-label={p.summary} style={{ height: height + "px" }} onPointerMove={point} onPointerLeave={() => setUnder(undefined)}>
        {width > 0 && p.times.length > 0 && (
          <svg width={width} height={height} aria-hidden="true">
            {rows.map((v) => <g><line class="grid" x1={left} x2={width - right} y1={y(v)} y2={y(v)} /><text x={left - 6} y={y(v) + 3.5} text-anchor="end">{p.show(v)}</text></g>)}
            {columns.map((t) => <text x={Math.min(x(t), width - 18)} y={height - 8} text-anchor="middle">{tick(t, step)}</text>)}
            {series.map((s, k) => {
              if (s.kind === "bars") return s.values.map((v, i) => (v ? <rect x={x(p.times[i]!) - bar / 2} y={y(v)} width={bar} height={Math.max(0, y(0) - y(v))} rx={Math.min(2, bar / 4)} fill={s.ink} opacity={at === undefined || at === i ? 1 : 0.55} /> : null));
              if (s.kind === "band") return series[k + 1]?.kind === "band" ? <path d={area(s.values, series[k + 1]!.values)} fill={s.ink} opacity="0.16" /> : null;
              return <path d={line(s.values)} fill="none" stroke={s.ink} stroke-width="1.75" stroke-linejoin="round" stroke-dasharray={s.dash ? "4 4" : undefined} />;
            })}
            {at !== undefined && <line class="cursor" x1={x(p.times[at]!)} x2={x(p.times[at]!)} y1={top} y2={height - bottom} />}
            {at !== undefined && series.map((s) => (s.kind === undefined || s.kind === "line") && s.values[at] != null && <circle cx={x(p.times[at]!)} cy={y(s.values[at]!)} r="3.5" fill={s.ink} />)}
          </svg>
        )}
      </div>
      <details class="twin">
        <summary>As a table</summary>
        <div class="scroll" role="group" aria-label={p.summary} tabIndex={0}>
          <table>
            <caption class="sr">{p.summary}</caption>
            <thead><tr><th scope="col">Time</th>{p.series.map((s) => <th scope="col" class="num">{s.name}</th>)}</tr></thead>
            <tbody>
              {p.times.map((t, i) => (
                <tr><th scope="row">{time(t)}</th>{p.series.map((s) => <td class="num">{s.values[i] == null ? "–" : p.show(s.values[i]!)}</td>)}</tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}
