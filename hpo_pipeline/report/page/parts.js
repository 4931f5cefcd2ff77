// What all drawings share: the data, colours, tooltips, and which trials are picked or selected.
"use strict";
const R = {
  data: null,
  draw: {},        // chart -> function (element) that draws it
  onPick: [],      // called with a trial's id, or null
  onSelect: [],    // called with a Set of ids that were brushed, or null for all
  picked: null,
  selected: null,
};
// Places in a row of the table; trials.py writes them.
const ID = 0, STATE = 1, VALUES = 2, BEST_AT = 3, LAST = 4, BRACKET = 5, RUNG = 6, SECONDS = 7, FATE = 8, ORIGIN = 9, REPEATS = 10, CONFIG = 11, PLACE = 12, NODES = 13, SEEDS = 14;

// The data stand in the page as JSON, gzipped and in base64: a third of their size.
R.load = async () => {
  const packed = Uint8Array.from(atob(document.getElementById("data").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  R.data = JSON.parse(await new Response(stream).text());
  R.rows = R.data.trials ? R.data.trials.rows : [];
  R.byId = new Map(R.rows.map((row, rank) => [row[ID], { row, rank }]));
};
// Okabe and Ito's palette: told apart with any colour vision.
R.fates = { running: "#009E73", paused: "#56B4E9", completed: "#0072B2", stopped: "#E69F00", failed: "#D55E00", interrupted: "#999999" };
R.top = ["#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8a6d00", "#7570b3", "#666666"];
R.blues = ["#08306b", "#08519c", "#2171b5", "#4292c6", "#6baed6", "#9ecae1", "#c6dbef", "#e3eef8"];
R.ink = "#1b2733"; R.soft = "#55636f"; R.line = "#e3e8ec";

R.number = (x, digits = 4) => {
  if (x === null || x === undefined || x === "") return "–";
  if (typeof x !== "number") return String(x);
  if (Number.isInteger(x) && Math.abs(x) < 1e6) return String(x);
  const size = Math.abs(x), text = size < 1e-4 || size >= 1e6 ? x.toExponential(digits - 1) : x.toPrecision(digits);
  return text.includes("e") ? text.replace(/\.?0+e/, "e").replace("e+", "e") : text.includes(".") ? text.replace(/0+$/, "").replace(/\.$/, "") : text;
};
R.duration = (s) => {
  if (s < 60) return `${R.number(s, 3)} s`;
  const whole = Math.floor(s), pad = (x) => String(x).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours ? `${hours}:${pad(minutes)}:${pad(rest)}` : `${minutes}:${pad(rest)}`;
};
// An element with text in it: never HTML.
R.element = (tag, text = "", attributes = {}) => {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};
R.state = (row) => R.data.trials.states[row[STATE]];
R.value = (row) => row[VALUES][0];
R.tip = (title, lines) => {
  const box = R.element("div", "", { class: "tip" });
  box.append(R.element("b", title), ...lines.map((line) => R.element("div", line)));
  return box;
};
// The tooltip of a trial, with what is special about this point first.
R.trialTip = (id, lines = []) => {
  const found = R.byId.get(id);
  if (!found) return R.tip(`trial ${id}`, lines);
  const config = R.data.trials.paths.map((path, k) => [path, found.row[CONFIG][k]]).filter(([, value]) => value !== "");
  const shown = config.slice(0, 8).map(([path, value]) => `${path} ${R.number(value)}`);
  return R.tip(`trial ${id}, rank ${found.rank + 1}`, [...lines, ...shown, found.row[FATE]]);
};
R.pick = (id) => {
  R.picked = R.picked === id ? null : id;
  R.onPick.forEach((hear) => hear(R.picked));
};
R.select = (ids) => {
  R.selected = ids;
  R.onSelect.forEach((hear) => hear(ids));
};
// A chart with what all have in common; `option` is ECharts' own. Points carry their trial's id in the last place.
R.chart = (element, option) => {
  const chart = echarts.init(element, null, { renderer: "canvas" });
  chart.setOption({
    animation: false,
    textStyle: { fontFamily: "system-ui, sans-serif", color: R.ink },
    ...option,
    tooltip: { confine: true, borderColor: R.line, ...option.tooltip },
  });
  new ResizeObserver(() => chart.resize()).observe(element);
  return chart;
};
R.axis = (name, more = {}) => ({
  type: "value", name, nameLocation: "middle", nameGap: 30, scale: true,
  nameTextStyle: { color: R.soft }, axisLabel: { color: R.soft, hideOverlap: true },
  axisLine: { show: true, onZero: false, lineStyle: { color: "#9aa7b2" } }, splitLine: { lineStyle: { color: R.line } }, ...more,
});
// The axis of the study's metric, without what diverged.
R.valueAxis = (more = {}) => {
  const [min, max] = R.data.limits.length ? R.data.limits : [null, null];
  const inner = more.axisLabel || {};
  return R.axis(`${R.data.metric} (${R.data.mode === "min" ? "lower" : "higher"} is better)`, {
    min, max, nameGap: 52, ...more,
    axisLabel: { color: R.soft, showMinLabel: false, showMaxLabel: false, formatter: (x) => R.number(x, 3), ...inner },
  });
};
// An axis from 0 to 1 with the labels of a hyperparameter.
R.placeAxis = (axis, more = {}) => {
  const labels = new Map(axis.ticks.map(([u, text]) => [u, text]));
  const at = axis.ticks.map(([u]) => u);
  return R.axis(axis.name, {
    min: 0, max: 1, scale: false, splitLine: { show: false }, ...more,
    axisTick: { customValues: at },
    axisLabel: { color: R.soft, customValues: at, hideOverlap: true, formatter: (u) => labels.get(u) ?? "", ...(more.axisLabel || {}) },
  });
};
// A position that doesn't hide others: values of a list are spread a little, always the same way for one trial.
R.spread = (axis, u, id) => (axis.listed && u !== null ? u + (R.scatter(id) * 0.5) / axis.listed : u);
R.scatter = (id) => (((id + 1) * 2654435761) % 1000) / 1000 - 0.5;
R.clicks = (chart) => chart.on("click", (event) => {
  const data = event.data && event.data.value ? event.data.value : event.data;
  if (Array.isArray(data)) R.pick(data[data.length - 1]);
});
// Buttons of which one is on.
R.buttons = (place, labels, hear) => {
  const buttons = labels.map((label, k) => {
    const button = R.element("button", label, { type: "button" });
    button.addEventListener("click", () => { buttons.forEach((b) => b.classList.toggle("on", b === button)); hear(k); });
    place.append(button);
    return button;
  });
  buttons[0].classList.add("on");
};
