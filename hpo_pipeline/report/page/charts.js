// What happened: the best so far, learning curves, rungs, the front, the workers.
"use strict";
R.draw.best = (element) => {
  const { reports, best, end } = R.data.sections.best;
  const unit = R.data.unit;
  const show = (by) => {
    const held = best.map((p) => [p[by], p[2], p[3]]);
    if (held.length) held.push([end[by], held[held.length - 1][1], held[held.length - 1][2]]);
    return {
      xAxis: R.axis(by === 0 ? "time" : `total ${unit}s`, {
        scale: false, minInterval: by === 0 ? 0 : 1, min: 0, max: end[by] || null, splitLine: { show: false },
        axisLabel: { color: R.soft, hideOverlap: true, showMaxLabel: false, formatter: (x) => (by === 0 ? R.duration(x) : R.number(x)) },
      }),
      series: [
        { type: "scatter", name: "reports", data: reports.map((p) => [p[by], p[2], p[3]]), symbolSize: 4, itemStyle: { color: "#9aa7b2", opacity: 0.55 } },
        { type: "line", name: "best so far", data: held, step: "end", symbolSize: 5, showSymbol: true, lineStyle: { width: 2.2 }, itemStyle: { color: "#0072B2" }, z: 5 },
      ],
    };
  };
  const chart = R.chart(element, {
    grid: { left: 76, right: 24, top: 30, bottom: 44 },
    legend: { top: 0, right: 0, data: ["reports", "best so far"] },
    tooltip: { trigger: "item", formatter: (p) => R.trialTip(p.data[2], [`${R.data.metric} ${R.number(p.data[1])}`]) },
    yAxis: R.valueAxis(),
    ...show(1),
  });
  R.clicks(chart);
  R.buttons(document.getElementById("best-tools"), [`over total ${unit}s`, "over time"], (k) => chart.setOption(show(1 - k)));
};

R.draw.curves = (element) => {
  const { top, faint, rungs, log } = R.data.sections.curves;
  const lines = [], ends = {};
  for (const [trial, ...points] of faint) {
    for (let i = 0; i < points.length; i += 2) lines.push([points[i], points[i + 1]]);
    lines.push([null, null]);
    const found = R.byId.get(trial);
    const state = found ? R.state(found.row) : "stopped";
    (ends[state] ||= []).push([points[points.length - 2], points[points.length - 1], trial]);
  }
  const opacity = Math.max(0.1, Math.min(0.6, 6 / Math.sqrt(faint.length || 1)));
  const last = Math.max(...top.flatMap((t) => t.points.map((p) => p[0])), ...lines.map((p) => p[0] || 0));
  const first = Math.min(...top.flatMap((t) => t.points.map((p) => p[0])), ...lines.map((p) => p[0] || Infinity));
  const ticks = rungs.length > 1 ? { axisTick: { customValues: rungs } } : {};
  const labels = rungs.length > 1 ? { customValues: rungs } : {};
  const chart = R.chart(element, {
    grid: { left: 76, right: 150, top: 16, bottom: 44 },
    legend: { type: "scroll", orient: "vertical", right: 0, top: 10, itemWidth: 18 },
    tooltip: { trigger: "item", formatter: (p) => (p.data.length > 2 ? R.trialTip(p.data[2], [`${R.data.unit} ${p.data[0]}: ${R.number(p.data[1])}`]) : null) },
    xAxis: R.axis(`${R.data.unit}s${rungs.length > 1 ? " (marked: rungs)" : ""}`, {
      type: log ? "log" : "value", minInterval: 1, scale: log, min: Math.min(first, last - 1) || first, max: last,
      splitLine: { show: rungs.length > 1, lineStyle: { color: R.line, type: "dotted" } }, ...ticks,
      axisLabel: { color: R.soft, ...labels, formatter: (x) => R.number(x) },
    }),
    yAxis: R.valueAxis(),
    series: [
      { type: "line", data: lines, showSymbol: false, silent: true, connectNulls: false, lineStyle: { width: 1, color: "#8a98a5", opacity } },
      ...Object.entries(ends).map(([state, data]) => ({
        type: "scatter", name: `${state} (${data.length})`, data, symbolSize: 5, itemStyle: { color: R.fates[state], opacity: Math.max(opacity, 0.35) },
      })),
      ...top.map(({ trial, points }, k) => ({
        type: "line", name: `trial ${trial}`, data: points.map((p) => [...p, trial]), symbolSize: 4, showSymbol: points.length < 40,
        lineStyle: { width: k === 0 ? 3 : 1.8 }, itemStyle: { color: R.top[k] }, z: 20 - k,
      })),
    ],
  });
  R.clicks(chart);
};

R.draw.rungs = (element) => {
  const { panels } = R.data.sections.rungs;
  const columns = Math.min(3, panels.length), rows = Math.ceil(panels.length / columns);
  const option = { grid: [], xAxis: [], yAxis: [], series: [], title: [] };
  const height = (element.clientHeight - 20) / rows;
  panels.forEach((panel, k) => {
    const [column, row] = [k % columns, Math.floor(k / columns)];
    const width = 100 / columns;
    option.grid.push({ left: `${column * width + (column ? 3.5 : 7)}%`, width: `${width - (column ? 5 : 8.5)}%`, top: row * height + 34, height: height - 90 });
    const levels = panel.rungs.map(([resource]) => resource), count = new Map(panel.rungs);
    option.title.push({ text: panels.length > 1 ? `bracket ${panel.bracket}` : "", left: `${column * width + (column ? 3.5 : 7)}%`, top: row * height + 4, textStyle: { fontSize: 13, fontWeight: 600, color: R.ink } });
    option.xAxis.push(R.axis(row === rows - 1 || k + columns >= panels.length ? `${R.data.unit} (trials)` : "", {
      gridIndex: k, min: -0.5, max: levels.length - 0.5, splitLine: { show: false }, axisTick: { customValues: levels.map((_, i) => i) },
      axisLabel: { color: R.soft, customValues: levels.map((_, i) => i), formatter: (i) => `${levels[i]} (${count.get(levels[i])})` },
    }));
    option.yAxis.push(R.valueAxis({ gridIndex: k, ...(column ? { name: "" } : {}) }));
    const lines = [], on = [], ended = [];
    for (const [trial, ...points] of panel.trials) {
      const shift = R.scatter(trial) * 0.34;
      for (let i = 0; i < points.length; i += 2) {
        const point = [levels.indexOf(points[i]) + shift, points[i + 1], trial];
        lines.push(point.slice(0, 2));
        (i + 2 < points.length ? on : ended).push(point);
      }
      lines.push([null, null]);
    }
    const many = panel.trials.length, size = many > 300 ? 4 : 6;
    const at = { xAxisIndex: k, yAxisIndex: k };
    option.series.push(
      { type: "line", ...at, data: lines, showSymbol: false, silent: true, lineStyle: { width: 1, color: "#8a98a5", opacity: many > 300 ? 0.25 : 0.5 } },
      { type: "scatter", ...at, name: "ended here", data: ended, symbolSize: size, itemStyle: { color: R.fates.stopped, opacity: 0.75 } },
      { type: "scatter", ...at, name: "went on", data: on, symbolSize: size, itemStyle: { color: R.fates.completed, opacity: 0.85 } },
    );
    const winner = panel.trials.find(([trial]) => R.byId.get(trial) && R.byId.get(trial).rank === 0);
    if (winner) {
      const last = winner.length;
      option.series.push({ type: "scatter", ...at, name: "the best trial", symbol: "diamond", symbolSize: 13, z: 9, itemStyle: { color: "#000" },
        data: [[levels.indexOf(winner[last - 2]) + R.scatter(winner[0]) * 0.34, winner[last - 1], winner[0]]] });
    }
  });
  const chart = R.chart(element, {
    ...option,
    legend: { bottom: 0, data: ["went on", "ended here", "the best trial"] },
    tooltip: { trigger: "item", formatter: (p) => R.trialTip(p.data[2], [`${R.data.metric} here ${R.number(p.data[1])}`]) },
  });
  R.clicks(chart);
};

R.draw.front = (element) => {
  const { metrics, reports, front, log, volume } = R.data.sections.front;
  const m = metrics.length;
  const label = (k) => `${metrics[k][0]} (${metrics[k][1] === "min" ? "lower" : "higher"} is better)`;
  const point = (p) => [p[1], p[0], p[m + 1], p[m]];
  const staircase = [];
  if (m === 2) front.forEach((p, k) => {
    if (k) staircase.push([p[1], front[k - 1][0]], [p[1], p[0]]); else staircase.push([p[1], p[0]]);
  });
  const tip = (p) => {
    const row = p.data.value || p.data;
    return R.trialTip(row[3], [`at ${R.data.unit} ${row[2]}`, `${metrics[0][0]} ${R.number(row[1])}`, `${metrics[1][0]} ${R.number(row[0])}`]);
  };
  const kind = (k) => ({ type: log[k] ? "log" : "value", axisLabel: { color: R.soft, hideOverlap: true, formatter: (x) => R.number(x, 3) } });
  const chart = R.chart(element, {
    grid: [{ left: 76, width: "55%", top: 34, bottom: 46 }, { left: "71%", right: 20, top: 34, bottom: 46 }],
    legend: { top: 0, left: 70 },
    tooltip: { trigger: "item", formatter: (p) => (p.seriesName === "hypervolume" ? R.tip(`${R.number(p.data[1])}`, [`after ${p.data[0]} ${R.data.unit}s`]) : tip(p)) },
    xAxis: [R.axis(label(1), kind(1)), R.axis(`total ${R.data.unit}s`, { gridIndex: 1, scale: false, min: 0, max: volume[volume.length - 1][0] || null, splitLine: { show: false } })],
    yAxis: [R.axis(label(0), { nameGap: 52, ...kind(0) }), R.axis("hypervolume", { gridIndex: 1, scale: false, min: 0, nameGap: 46, axisLabel: { color: R.soft, formatter: (x) => R.number(x, 3) } })],
    series: [
      { type: "scatter", name: "reports", data: reports.filter((p) => p[m + 2]).map(point), symbolSize: 4, itemStyle: { color: "#9aa7b2", opacity: 0.5 } },
      { type: "scatter", name: "outside the constraints", data: reports.filter((p) => !p[m + 2]).map(point), symbolSize: 4, itemStyle: { color: R.fates.stopped, opacity: 0.5 } },
      { type: "line", data: staircase, showSymbol: false, silent: true, lineStyle: { color: "#0072B2", width: 1.4 } },
      { type: "scatter", name: "front", symbolSize: 9, z: 5, itemStyle: { color: "#0072B2" }, data: front.map((p, k) => ({ value: [p[1], p[0], p[m + 1], p[m]], label: { show: front.length <= 15, formatter: () => String(k + 1), position: "right", color: R.ink, fontSize: 11 } })) },
      { type: "line", name: "hypervolume", xAxisIndex: 1, yAxisIndex: 1, step: "end", data: volume, showSymbol: false, lineStyle: { color: "#0072B2", width: 2 }, areaStyle: { color: "#0072B2", opacity: 0.08 } },
    ],
  });
  R.clicks(chart);
};

R.draw.workers = (element) => {
  const { seconds, n, busy, jobs, names } = R.data.sections.workers;
  const time = R.axis("time", { scale: false, min: 0, max: seconds, splitLine: { show: false }, axisLabel: { color: R.soft, hideOverlap: true, showMaxLabel: false, formatter: R.duration } });
  if (!jobs) {
    R.chart(element, {
      grid: { left: 60, right: 24, top: 16, bottom: 44 }, xAxis: time,
      yAxis: R.axis("busy workers", { scale: false, min: 0, max: n, nameGap: 38 }),
      series: [{ type: "line", step: "middle", showSymbol: false, data: busy.map((x, k) => [((k + 0.5) * seconds) / busy.length, x]), lineStyle: { color: "#0072B2" }, areaStyle: { color: "#0072B2", opacity: 0.15 } }],
    });
    return;
  }
  const named = names.some((name) => name.includes(" "));  // by node
  const levels = [...new Set(jobs.map((job) => job[4]))].sort((a, b) => a - b);
  const few = levels.length <= 8;
  const shade = (k) => R.blues[Math.round(6 - (6 * k) / Math.max(1, levels.length - 1))];
  const bar = (params, api) => {
    const [left, y] = api.coord([api.value(1), api.value(0)]), [right] = api.coord([api.value(2), api.value(0)]);
    const height = api.size([0, 1])[1] * 0.72;
    const shape = echarts.graphic.clipRectByRect({ x: left, y: y - height / 2, width: Math.max(right - left, 1), height }, params.coordSys);
    return shape && { type: "rect", shape, style: { fill: api.visual("color"), stroke: "#fff", lineWidth: right - left > 4 ? 0.6 : 0 } };
  };
  const series = (name, data, color) => ({ type: "custom", name, renderItem: bar, data: data.map((job) => [job[0], job[1], job[2], job[5], job[4], job[3]]), itemStyle: { color }, encode: { x: [1, 2], y: 0 } });
  const failed = jobs.filter((job) => job[5] === "failed" || job[5] === "lost"), rest = jobs.filter((job) => !failed.includes(job));
  const chart = R.chart(element, {
    grid: { left: named ? 150 : 60, right: 24, top: 34, bottom: 44 },
    legend: { top: 0, right: 0 },
    dataZoom: [{ type: "inside", xAxisIndex: 0, filterMode: "none", zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false }],
    tooltip: { trigger: "item", formatter: (p) => R.trialTip(p.data[5], [`to ${R.data.unit} ${p.data[4]}, ${R.duration(p.data[2] - p.data[1])}, ${p.data[3]}`]) },
    xAxis: time,
    yAxis: R.axis(named ? "" : "worker", { scale: false, min: -0.5, max: n - 0.5, inverse: true, minInterval: 1, nameGap: 36, splitLine: { show: false }, axisLabel: { color: R.soft, showMinLabel: false, showMaxLabel: false, formatter: (x) => names[x] ?? "" } }),
    series: [
      ...(few ? levels.map((level, k) => series(`to ${R.data.unit} ${level}`, rest.filter((job) => job[4] === level), shade(k))) : [series("jobs", rest, "#2171b5")]),
      ...(failed.length ? [series("failed or lost", failed, R.fates.failed)] : []),
    ],
  });
  R.clicks(chart);
};
