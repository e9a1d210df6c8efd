import { jsx, jsxs } from "preact/jsx-runtime";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { moment } from "./format.js";
const colors = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6"];
const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432e3, 604800, 1209600, 2592e3];
function nice(low, high, about) {
  const raw = (high - low) / Math.max(1, about), power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((m) => m * power >= raw) ?? 10);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(i * step || 0);
  return ticks;
}
function when(low, high, about) {
  const step = steps.find((s) => s >= (high - low) / Math.max(1, about)) ?? steps.at(-1);
  const off = new Date(low * 1e3).getTimezoneOffset() * 60;
  const ticks = [];
  for (let t = Math.ceil((low - off) / step) * step + off; t <= high; t += step) ticks.push(t);
  return [ticks, step];
}
function tick(seconds, step) {
  const d = new Date(seconds * 1e3);
  if (step >= 86400 || d.getHours() === 0 && d.getMinutes() === 0 && d.getSeconds() === 0) return d.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  return d.toLocaleTimeString("en-GB", step < 60 ? { hour: "2-digit", minute: "2-digit", second: "2-digit" } : { hour: "2-digit", minute: "2-digit" });
}
function Chart(p) {
  const box = useRef(null);
  const [width, setWidth] = useState(0);
  const [under, setUnder] = useState();
  useLayoutEffect(() => {
    const measure = () => setWidth(box.current.clientWidth);
    measure();
    const watch = new ResizeObserver(measure);
    watch.observe(box.current);
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
  const x = (t) => left + (t - first + pad) / (last - first + 2 * pad) * (width - left - right);
  const y = (v) => height - bottom - (v - low) / (high - low) * (height - top - bottom);
  const [columns, step] = when(first - pad, last + pad, (width - left - right) / 72);
  const bar = Math.min(46, 0.72 * (x(first + apart) - x(first)));
  const time = p.time ?? ((s) => moment(s * 1e3));
  const line = (values2) => values2.map((v, i) => v === null ? "" : (i === 0 || values2[i - 1] === null ? "M" : "L") + x(p.times[i]).toFixed(1) + " " + y(v).toFixed(1)).join("");
  const area = (upper, lower) => {
    const at2 = p.times.map((_, i) => i).filter((i) => upper[i] !== null && lower[i] !== null);
    return at2.length ? "M" + at2.map((i) => x(p.times[i]) + " " + y(upper[i])).join("L") + "L" + at2.reverse().map((i) => x(p.times[i]) + " " + y(lower[i])).join("L") + "Z" : "";
  };
  const point = (e) => {
    const at2 = e.clientX - box.current.getBoundingClientRect().left;
    let best = 0;
    p.times.forEach((t, i) => {
      if (Math.abs(x(t) - at2) < Math.abs(x(p.times[best]) - at2)) best = i;
    });
    setUnder(best);
  };
  const at = under !== void 0 && under < p.times.length ? under : void 0;
  return /* @__PURE__ */ jsxs("figure", { class: "chart", children: [
    /* @__PURE__ */ jsxs("figcaption", { children: [
      series.filter((s) => s.kind !== "band").map((s) => /* @__PURE__ */ jsxs("span", { children: [
        /* @__PURE__ */ jsx("i", { style: { "--c": s.ink } }),
        s.name,
        at !== void 0 && s.values[at] != null && /* @__PURE__ */ jsxs("b", { children: [
          " ",
          p.show(s.values[at])
        ] })
      ] })),
      at !== void 0 ? /* @__PURE__ */ jsx("span", { children: time(p.times[at]) }) : p.note && /* @__PURE__ */ jsx("span", { children: p.note })
    ] }),
    /* @__PURE__ */ jsx("div", { class: "draw", ref: box, role: "img", "aria-label": p.summary, style: { height: height + "px" }, onPointerMove: point, onPointerLeave: () => setUnder(void 0), children: width > 0 && p.times.length > 0 && /* @__PURE__ */ jsxs("svg", { width, height, "aria-hidden": "true", children: [
      rows.map((v) => /* @__PURE__ */ jsxs("g", { children: [
        /* @__PURE__ */ jsx("line", { class: "grid", x1: left, x2: width - right, y1: y(v), y2: y(v) }),
        /* @__PURE__ */ jsx("text", { x: left - 6, y: y(v) + 3.5, "text-anchor": "end", children: p.show(v) })
      ] })),
      columns.map((t) => /* @__PURE__ */ jsx("text", { x: Math.min(x(t), width - 18), y: height - 8, "text-anchor": "middle", children: tick(t, step) })),
      series.map((s, k) => {
        if (s.kind === "bars") return s.values.map((v, i) => v ? /* @__PURE__ */ jsx("rect", { x: x(p.times[i]) - bar / 2, y: y(v), width: bar, height: Math.max(0, y(0) - y(v)), rx: Math.min(2, bar / 4), fill: s.ink, opacity: at === void 0 || at === i ? 1 : 0.55 }) : null);
        if (s.kind === "band") return series[k + 1]?.kind === "band" ? /* @__PURE__ */ jsx("path", { d: area(s.values, series[k + 1].values), fill: s.ink, opacity: "0.16" }) : null;
        return /* @__PURE__ */ jsx("path", { d: line(s.values), fill: "none", stroke: s.ink, "stroke-width": "1.75", "stroke-linejoin": "round", "stroke-dasharray": s.dash ? "4 4" : void 0 });
      }),
      at !== void 0 && /* @__PURE__ */ jsx("line", { class: "cursor", x1: x(p.times[at]), x2: x(p.times[at]), y1: top, y2: height - bottom }),
      at !== void 0 && series.map((s) => (s.kind === void 0 || s.kind === "line") && s.values[at] != null && /* @__PURE__ */ jsx("circle", { cx: x(p.times[at]), cy: y(s.values[at]), r: "3.5", fill: s.ink }))
    ] }) }),
    /* @__PURE__ */ jsxs("details", { class: "twin", children: [
      /* @__PURE__ */ jsx("summary", { children: "As a table" }),
      /* @__PURE__ */ jsx("div", { class: "scroll", role: "group", "aria-label": p.summary, tabIndex: 0, children: /* @__PURE__ */ jsxs("table", { children: [
        /* @__PURE__ */ jsx("caption", { class: "sr", children: p.summary }),
        /* @__PURE__ */ jsx("thead", { children: /* @__PURE__ */ jsxs("tr", { children: [
          /* @__PURE__ */ jsx("th", { scope: "col", children: "Time" }),
          p.series.map((s) => /* @__PURE__ */ jsx("th", { scope: "col", class: "num", children: s.name }))
        ] }) }),
        /* @__PURE__ */ jsx("tbody", { children: p.times.map((t, i) => /* @__PURE__ */ jsxs("tr", { children: [
          /* @__PURE__ */ jsx("th", { scope: "row", children: time(t) }),
          p.series.map((s) => /* @__PURE__ */ jsx("td", { class: "num", children: s.values[i] == null ? "–" : p.show(s.values[i]) }))
        ] })) })
      ] }) })
    ] })
  ] });
}
export {
  Chart
};
