// What the hyperparameters do: importance, parallel coordinates, slices, two at a time.
"use strict";
R.draw.importance = (element) => {
  const { names, ped, forest } = R.data.sections.importance;
  const both = ped && forest;
  const grids = [], xAxis = [], yAxis = [], series = [], title = [];
  const whisker = (params, api) => {
    const y = api.coord([0, api.value(0)])[1], [x0] = api.coord([api.value(1), api.value(0)]), [x1] = api.coord([api.value(2), api.value(0)]);
    const style = { stroke: R.ink, lineWidth: 1.3 };
    const line = (a, b, c, d) => ({ type: "line", shape: { x1: a, y1: b, x2: c, y2: d }, style });
    return { type: "group", children: [line(x0, y, x1, y), line(x0, y - 4, x0, y + 4), line(x1, y - 4, x1, y + 4)] };
  };
  const chance = (params, api) => {
    const [x, y] = api.coord([api.value(1), api.value(0)]), half = api.size([0, 1])[1] * 0.36;
    return { type: "rect", shape: { x: x - 1.5, y: y - half, width: 3, height: 2 * half }, style: { fill: "#7b8893" } };
  };
  const panel = (heading, left, right, bars, low, high, marks, colour, axis) => {
    const k = grids.length;
    const limit = Math.max(...high, ...(marks || [0])) * 1.04 || 1;
    grids.push({ left, right, top: 34, bottom: 44 });
    title.push({ text: heading, left, top: 4, textStyle: { fontSize: 13, fontWeight: 600, color: R.ink } });
    xAxis.push(R.axis(axis, { gridIndex: k, scale: false, min: Math.min(0, ...low), max: marks ? Math.min(limit, 1.2) : limit, axisLabel: { color: R.soft, showMinLabel: true, showMaxLabel: false, formatter: (x) => R.number(x, 2) } }));
    yAxis.push({ type: "category", gridIndex: k, inverse: true, data: names, axisTick: { show: false }, axisLabel: { show: k === 0, color: R.ink, width: 150, overflow: "truncate" }, axisLine: { lineStyle: { color: "#9aa7b2" } } });
    const at = { xAxisIndex: k, yAxisIndex: k };
    series.push({ type: "bar", ...at, data: bars, barWidth: "58%", itemStyle: { color: colour } });
    if (marks) series.push({ type: "custom", ...at, silent: true, renderItem: chance, data: marks.map((mark, i) => [i, mark]), clip: true, z: 3 });
    series.push({ type: "custom", ...at, silent: true, renderItem: whisker, data: low.map((value, i) => [i, value, high[i]]), clip: true, z: 4 });
  };
  const left = 170;
  if (ped) panel("PED-ANOVA", left, both ? "44%" : 30, ped.map((p) => p[0]), ped.map((p) => p[1]), ped.map((p) => p[2]), ped.map((p) => p[3]), "#0072B2", "share of the importance (grey mark: chance)");
  if (forest) panel("permutation importance of a forest", both ? "60%" : left, 30, forest.map((f) => f[0]), forest.map((f) => f[0] - 2 * f[1]), forest.map((f) => f[0] + 2 * f[1]), null, "#009E73", "increase of the squared error / variance");
  const tip = (p) => {
    if (p.seriesType !== "bar") return null;
    const k = p.dataIndex, lines = [];
    if (ped) lines.push(`PED-ANOVA ${R.number(ped[k][0], 2)} (${R.number(ped[k][1], 2)} to ${R.number(ped[k][2], 2)}; chance ${R.number(ped[k][3], 2)})`);
    if (forest) lines.push(`forest ${R.number(forest[k][0], 2)} ± ${R.number(2 * forest[k][1], 2)}`);
    return R.tip(names[k], lines);
  };
  R.chart(element, { grid: grids, xAxis, yAxis, series, title, tooltip: { trigger: "item", formatter: tip } });
};

// Where trials without the hyperparameter are drawn: below the axis.
const ABSENT = -0.1;

R.draw.parallel = (element) => {
  const axes = R.data.axes;
  const rows = R.rows.filter((row) => R.value(row) !== null && row[REPEATS] < 0);
  const [min, max] = R.data.limits;
  const places = (row) => [...row[PLACE].map((u) => (u === null ? ABSENT : u)), Math.min(Math.max(R.value(row), min), max)];
  // Of very many the best are drawn, and every so many-th of the others: a brush counts all.
  const { best, most } = R.data.sections.parallel, step = Math.max(1, (rows.length - best) / (most - best));
  const drawn = rows.map((row, k) => [row, k]).filter(([, k]) => k < best || Math.floor((k - best) / step) !== Math.floor((k - best - 1) / step));
  const n = drawn.length;
  const data = drawn.map(([row, k]) => [...places(row), Math.sqrt(k / Math.max(1, rows.length - 1)), row[ID]]).reverse();
  const dims = axes.map((axis, k) => {
    const ticks = axis.conditional ? [[ABSENT, "not there"], ...axis.ticks] : axis.ticks;
    const labels = new Map(ticks), at = ticks.map(([u]) => u);
    return { dim: k, name: axis.name, min: axis.conditional ? ABSENT : 0, max: 1, axisTick: { customValues: at }, axisLabel: { customValues: at, formatter: (u) => labels.get(u) ?? "" } };
  });
  dims.push({ dim: axes.length, name: R.data.metric, min, max, nameTextStyle: { fontWeight: 700, color: R.ink }, axisLabel: { showMinLabel: false, showMaxLabel: false, formatter: (x) => R.number(x, 3) } });
  const chart = R.chart(element, {
    parallel: { left: 60, right: 80, top: 40, bottom: 26, parallelAxisDefault: {
      type: "value", nameLocation: "end", nameGap: 16, nameTextStyle: { color: R.ink, width: 150, overflow: "truncate" }, axisLine: { lineStyle: { color: "#75828d" } },
      axisLabel: { color: R.soft, backgroundColor: "rgba(255,255,255,.75)", padding: [1, 2] }, splitLine: { show: false },
      areaSelectStyle: { width: 22, opacity: 0.25, color: "#0072B2", borderColor: "#0072B2" },
    } },
    parallelAxis: dims,
    visualMap: { show: false, dimension: axes.length + 1, min: 0, max: 1, inRange: { color: ["#08306b", "#2171b5", "#a3c1da", "#d3dbe2", "#e3e7eb"] } },
    tooltip: { trigger: "item", formatter: (p) => R.trialTip(p.data[p.data.length - 1], [`${R.data.metric} ${R.number(R.value(R.byId.get(p.data[p.data.length - 1]).row))}`]) },
    series: [{ type: "parallel", data, smooth: 0.12, progressive: 500, lineStyle: { width: n > 300 ? 0.8 : 1.4, opacity: n > 1000 ? 0.3 : n > 200 ? 0.5 : 0.8 }, inactiveOpacity: 0.03, activeOpacity: 0.85 }],
  });
  chart.on("axisareaselected", () => {
    const brushes = chart.getModel().queryComponents({ mainType: "parallelAxis" }).map((axis) => axis.activeIntervals);
    const passes = (row) => places(row).every((u, k) => !brushes[k].length || brushes[k].some(([low, high]) => low <= u && u <= high));
    R.select(brushes.some((brush) => brush.length) ? new Set(rows.filter(passes).map((row) => row[ID])) : null);
  });
  R.clicks(chart);
};

R.draw.slices = (element) => {
  const axes = R.data.axes, { most, limits: [min, max] } = R.data.sections.slices;
  const columns = Math.min(3, axes.length), rows = Math.ceil(axes.length / columns), width = 100 / columns;
  const height = (element.clientHeight - 50) / rows;
  const kept = R.rows.filter((row) => R.value(row) !== null && row[REPEATS] < 0);
  const step = Math.max(1, kept.length / most);
  const trials = Array.from({ length: Math.min(kept.length, most) }, (_, k) => kept[Math.floor(k * step)]).reverse();
  const levels = trials.map((row) => Math.log(Math.max(row[LAST], 1))), low = Math.min(...levels), high = Math.max(...levels);
  const option = { grid: [], xAxis: [], yAxis: [], series: [] };
  axes.forEach((axis, k) => {
    const [column, row] = [k % columns, Math.floor(k / columns)];
    option.grid.push({ left: `${column * width + (column ? 4 : 7)}%`, width: `${width - (column ? 5.5 : 8.5)}%`, top: row * height + 12, height: height - 62 });
    option.xAxis.push(R.placeAxis(axis, { gridIndex: k, nameGap: 26 }));
    option.yAxis.push(R.valueAxis({ gridIndex: k, min, max, name: column ? "" : R.data.metric, nameGap: 48 }));
    option.series.push({
      type: "scatter", name: "trials", xAxisIndex: k, yAxisIndex: k, symbolSize: trials.length > 500 ? 4 : 6.5,
      data: trials.map((row, i) => [R.spread(axis, row[PLACE][k], row[ID]), R.value(row), levels[i], row[ID]]).filter((p) => p[0] !== null), itemStyle: { opacity: 0.8 },
    });
    const best = trials[trials.length - 1];
    if (best && best[PLACE][k] !== null) option.series.push({ type: "scatter", xAxisIndex: k, yAxisIndex: k, name: "the best trial", symbol: "diamond", symbolSize: 12, z: 9, itemStyle: { color: "#D55E00", opacity: 1 }, data: [[R.spread(axis, best[PLACE][k], best[ID]), R.value(best), levels[levels.length - 1], best[ID]]] });
  });
  const painted = option.series.map((series, i) => (series.name === "trials" ? i : -1)).filter((i) => i >= 0);
  const chart = R.chart(element, {
    ...option,
    visualMap: { type: "continuous", seriesIndex: painted, dimension: 2, min: low, max: high > low ? high : low + 1, orient: "horizontal", left: "center", bottom: 0, itemHeight: 180, itemWidth: 12, show: high > low,
      text: [`${Math.round(Math.exp(high))} ${R.data.unit}s`, `${Math.round(Math.exp(low))}`], textStyle: { color: R.soft }, inRange: { color: high > low ? ["#d3e3f1", "#6baed6", "#08306b"] : ["#2171b5"] } },
    tooltip: { trigger: "item", formatter: (p) => R.trialTip(p.data[3], [`${R.data.metric} ${R.number(p.data[1])}`]) },
  });
  R.clicks(chart);
  const dim = (ids) => chart.setOption({ series: option.series.map((series) => ({ data: series.data.map((p) => ({ value: p, itemStyle: { opacity: !ids || ids.has(p[3]) ? 0.85 : 0.04 } })) })) });
  R.onSelect.push(dim);
};

R.draw.pairs = (element) => {
  const { pairs, points, ids, best } = R.data.sections.pairs;
  const axes = R.data.axes;
  const bestIds = new Set(ids.slice(0, best));
  const cell = (pair) => (params, api) => {
    const [column, row] = [api.value(0), api.value(1)];
    const [x0, y0] = api.coord([column / pair.columns, row / pair.rows]), [x1, y1] = api.coord([(column + 1) / pair.columns, (row + 1) / pair.rows]);
    return { type: "rect", shape: { x: x0, y: y1, width: x1 - x0 + 0.7, height: y0 - y1 + 0.7 }, style: { fill: api.visual("color") } };
  };
  const range = (pair) => {
    const there = pair.cells.filter((place) => place >= 0), [min, max] = [Math.min(...there), Math.max(...there)];
    return { min, max: max > min ? max : min + 1, text: [`${max} % (worse)`, `${min} % (better)`] };
  };
  const show = (pair) => ({
    visualMap: { type: "continuous", seriesIndex: 0, dimension: 2, right: 0, top: 20, itemHeight: 220, textStyle: { color: R.soft }, inRange: { color: R.blues }, ...range(pair) },
    xAxis: R.placeAxis(axes[pair.a]),
    yAxis: R.placeAxis(axes[pair.b], { nameGap: 60 }),
    series: [
      { type: "custom", name: "mean", silent: true, renderItem: cell(pair), encode: { x: -1, y: -1 }, data: pair.cells.map((place, i) => [i % pair.columns, Math.floor(i / pair.columns), place]).filter((c) => c[2] >= 0) },
      { type: "scatter", name: "trials", symbolSize: 6, z: 4,
        data: points.map((p, i) => ({ value: [R.spread(axes[pair.a], p[pair.a], ids[i]), R.spread(axes[pair.b], p[pair.b], ids[i]), 0, ids[i]], itemStyle: { color: bestIds.has(ids[i]) ? "#fff" : "rgba(40,50,60,.55)", borderColor: "#1b2733", borderWidth: bestIds.has(ids[i]) ? 1.2 : 0 } })).filter((p) => p.value[0] !== null && p.value[1] !== null) },
    ],
  });
  const chart = R.chart(element, {
    grid: { left: 90, right: 130, top: 12, bottom: 46 },
    tooltip: { trigger: "item", formatter: (p) => (p.seriesIndex === 1 ? R.trialTip(p.data.value[3]) : null) },
    ...show(pairs[0]),
  });
  R.clicks(chart);
  const select = R.element("select", "", { "aria-label": "which two hyperparameters" });
  pairs.forEach((pair, k) => select.append(R.element("option", `${axes[pair.a].name} and ${axes[pair.b].name} (explains ${Math.max(0, Math.round(100 * pair.explained))} %)`, { value: String(k) })));
  select.addEventListener("change", () => chart.setOption(show(pairs[Number(select.value)]), { replaceMerge: ["series"] }));
  if (pairs.length > 1) document.getElementById("pairs-tools").append(select);
};
