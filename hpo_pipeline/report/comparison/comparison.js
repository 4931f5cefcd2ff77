// The drawings of comparison.html: medians with bands, times to the target, ranks.
"use strict";
// Okabe and Ito's palette; more methods than colours get other dashes.
R.methodColors = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8a6d00"];
R.methodColor = (k) => R.methodColors[k % R.methodColors.length];
R.dash = (k) => ["solid", "dashed", "dotted"][Math.floor(k / R.methodColors.length) % 3];
R.spent = (by, x) => (by === "seconds" ? R.duration(x) : R.number(x));
R.spentAxis = (by, more = {}) => R.axis(by === "seconds" ? "time of the study" : `total ${R.data.unit}s`, {
  scale: false, min: 0, splitLine: { show: false }, axisLabel: { color: R.soft, hideOverlap: true, formatter: (x) => R.spent(by, x) }, ...more,
});
R.ways = (place, hear) => R.buttons(document.getElementById(place), [`over total ${R.data.unit}s`, "over time"], (k) => hear(k ? "seconds" : "resource"));
for (const dot of document.querySelectorAll(".dot[data-method]")) dot.style.background = R.methodColor(Number(dot.dataset.method));

R.draw.anytime = (element) => {
  const { methods, end } = R.data.sections.curves;
  const [bottom, top] = R.data.limits, lowIsGood = R.data.mode === "min";
  let way = "resource", each = false;
  // Corners of the band: along one quartile, and back along the other; what has no upper quartile yet reaches to the edge.
  const pieces = (band) => {
    const found = [];
    let piece = null;
    band.forEach(([x, good, , bad], i) => {
      if (good === null) { piece = null; return; }
      if (!piece) found.push(piece = { good: [], bad: [] });
      const next = i + 1 < band.length ? band[i + 1][0] : x, worst = bad === null ? (lowIsGood ? top : bottom) : bad;
      piece.good.push([x, good], [next, good]);
      piece.bad.push([x, worst], [next, worst]);
    });
    return found.map(({ good, bad }) => [...good, ...bad.reverse()]);
  };
  const area = (k) => {
    const polygons = pieces(methods[k].bands[way]);
    return {
      type: "custom", name: R.data.methods[k], silent: true, clip: true, z: 1, itemStyle: { color: R.methodColor(k) }, encode: { x: 0, y: 1 },
      data: methods[k].studies.length > 1 ? polygons.map((points) => points[0]) : [],
      renderItem: (params, api) => ({ type: "polygon", shape: { points: polygons[params.dataIndex].map((p) => api.coord(p)) }, style: { fill: R.methodColor(k), opacity: 0.14 } }),
    };
  };
  const line = (k) => ({
    type: "line", name: R.data.methods[k], step: "end", showSymbol: false, connectNulls: false, z: 10 - k / 100, data: methods[k].bands[way].map(([x, , middle]) => [x, middle]),
    lineStyle: { width: 2.4, type: R.dash(k) }, itemStyle: { color: R.methodColor(k) },
  });
  const thin = (k) => methods[k].studies.map((study) => ({
    type: "line", name: R.data.methods[k], step: "end", showSymbol: false, silent: true, z: 2, data: study[way], lineStyle: { width: 0.8, opacity: 0.6 }, itemStyle: { color: R.methodColor(k) },
  }));
  const at = (k, x) => {
    let found = null;
    for (const row of methods[k].bands[way]) { if (row[0] > x) break; found = row; }
    return found;
  };
  const tip = (points) => {
    if (!points.length) return null;
    const x = points[0].axisValue;
    const lines = methods.map((method, k) => {
      const row = at(k, x), bands = method.bands[way];
      if (!row || row[2] === null || x > bands[bands.length - 1][0]) return `${R.data.methods[k]} –`;
      return `${R.data.methods[k]} ${R.number(row[2])}${method.studies.length > 1 ? ` (${R.number(row[1])} to ${row[3] === null ? "none" : R.number(row[3])})` : ""}`;
    });
    return R.tip(way === "seconds" ? R.duration(x) : `${R.number(Math.round(x))} ${R.data.unit}s`, lines);
  };
  const show = () => ({
    xAxis: R.spentAxis(way, { max: end[way] || null }),
    series: methods.flatMap((_, k) => [...(each ? thin(k) : [area(k)]), line(k)]),
  });
  const chart = R.chart(element, {
    grid: { left: 76, right: 24, top: 34, bottom: 44 },
    legend: { type: "scroll", top: 0, left: 70, right: 20, data: R.data.methods.map((name, k) => ({ name, itemStyle: { color: R.methodColor(k) } })), icon: "roundRect", itemHeight: 4 },
    tooltip: { trigger: "axis", formatter: tip, axisPointer: { type: "line" } },
    yAxis: R.valueAxis(),
    ...show(),
  });
  const redraw = () => chart.setOption(show(), { replaceMerge: ["series"] });
  R.ways("anytime-tools", (by) => { way = by; redraw(); });
  const button = R.element("button", "each study", { type: "button" });
  button.addEventListener("click", () => { each = !each; button.classList.toggle("on", each); redraw(); });
  document.getElementById("anytime-tools").append(button);
};

R.draw.target = (element) => {
  const { reached, median, where } = R.data.sections.target;
  const names = R.data.methods;
  const show = (by) => ({
    xAxis: R.spentAxis(by),
    series: [
      { type: "bar", name: "median", barWidth: 14, z: 1, data: median.map((each, k) => ({ value: each[by] ?? 0, itemStyle: { color: R.methodColor(k), opacity: 0.25 } })) },
      {
        type: "scatter", name: "studies", symbolSize: 9, z: 3,
        data: reached.flatMap((each, k) => each[by].map((x, i) => ({ value: [x, k], where: where[k][i], itemStyle: { color: R.methodColor(k), opacity: 0.85 } }))).filter((p) => p.value[0] !== null),
      },
    ],
  });
  const label = (k) => `${names[k].length > 26 ? `${names[k].slice(0, 25)}…` : names[k]}\n${reached[k].resource.filter((x) => x !== null).length} of ${reached[k].resource.length}`;
  const room = 24 + 7 * Math.max(...names.map((name) => Math.min(26, name.length)), 8);
  const chart = R.chart(element, {
    grid: { left: Math.min(room, element.clientWidth * 0.4), right: 34, top: 10, bottom: 44 },
    tooltip: { trigger: "item", formatter: (p) => (p.seriesName === "studies" ? R.tip(p.data.where, [R.tipSpent(p.value[0])]) : R.tip(`median of ${names[p.dataIndex]}`, [R.tipSpent(p.value)])) },
    yAxis: { type: "category", inverse: true, data: names.map((_, k) => k), axisTick: { show: false }, axisLine: { lineStyle: { color: "#9aa7b2" } }, axisLabel: { color: R.ink, formatter: (k) => label(Number(k)), lineHeight: 15 } },
    ...show("resource"),
  });
  let way = "resource";
  R.tipSpent = (x) => (way === "seconds" ? R.duration(x) : `${R.number(x)} ${R.data.unit}s`);
  R.ways("target-tools", (by) => { way = by; chart.setOption(show(by)); });
};

R.draw.ranks = (element) => {
  const { ranks, k: n } = R.data.sections.ranks;
  const names = R.data.methods;
  const lane = (row, k) => row + 0.12 + (0.72 * (k + 0.5)) / n - 0.5;
  const show = (by) => {
    const rows = ranks.filter((each) => each.by === by);
    const bars = rows.flatMap(({ cliques, average }, row) => cliques.map((clique) => {
      const at = clique.map((k) => average[k]), lanes = clique.map((k) => lane(row, k));
      return [Math.min(...at), Math.max(...at), Math.min(...lanes), Math.max(...lanes)];
    }));
    return {
      yAxis: {
        type: "value", inverse: true, min: -0.5, max: rows.length - 0.5, splitLine: { show: false }, axisLine: { show: false }, axisTick: { show: false },
        axisLabel: { color: R.ink, customValues: rows.map((_, i) => i), formatter: (i) => `after ${by === "seconds" ? R.duration(rows[i].amount) : `${R.number(rows[i].amount)} ${R.data.unit}s`}\n${rows[i].over}`, lineHeight: 15 },
      },
      series: [
        { type: "custom", name: "bars", silent: true, z: 1, encode: { x: [0, 1], y: [2, 3] }, data: bars,
          renderItem: (params, api) => {
            const [x0, y0] = api.coord([api.value(0), api.value(2)]), [x1, y1] = api.coord([api.value(1), api.value(3)]);
            return { type: "rect", shape: { x: x0 - 9, y: y0 - 8, width: x1 - x0 + 18, height: y1 - y0 + 16, r: 8 }, style: { fill: "#8a98a5", opacity: 0.18 } };
          } },
        { type: "custom", name: "critical difference", silent: true, z: 2, encode: { x: [0, 1], y: 2 }, data: rows.map(({ difference }, row) => [1, 1 + difference, row - 0.44]),
          renderItem: (params, api) => {
            const [x0, y] = api.coord([api.value(0), api.value(2)]), [x1] = api.coord([api.value(1), api.value(2)]);
            const tick = (x) => ({ type: "line", shape: { x1: x, y1: y - 4, x2: x, y2: y + 4 }, style: { stroke: R.ink, lineWidth: 1.4 } });
            return { type: "group", children: [
              { type: "line", shape: { x1: x0, y1: y, x2: x1, y2: y }, style: { stroke: R.ink, lineWidth: 1.4 } }, tick(x0), tick(x1),
              { type: "text", style: { text: `critical difference ${R.number(api.value(1) - 1, 3)}`, x: x1 + 8, y: y - 6, fill: R.soft, fontSize: 11 } },
            ] };
          } },
        ...names.map((name, k) => ({
          type: "scatter", name, symbolSize: 11, z: 5, itemStyle: { color: R.methodColor(k) },
          data: rows.map(({ average }, row) => [average[k], lane(row, k)]),
          label: { show: n <= 12, position: "right", distance: 8, color: R.ink, fontSize: 11, formatter: () => (name.length > 30 ? `${name.slice(0, 29)}…` : name) },
        })),
      ],
    };
  };
  const chart = R.chart(element, {
    grid: { left: 118, right: Math.min(160, element.clientWidth * 0.25), top: 16, bottom: 44 },
    tooltip: { trigger: "item", formatter: (p) => R.tip(p.seriesName, [`average rank ${R.number(p.value[0], 3)}`]) },
    xAxis: R.axis("average rank (1 is the best)", { min: 1, max: n, interval: 1, scale: false }),
    ...show("resource"),
  });
  R.ways("ranks-tools", (by) => chart.setOption(show(by), { replaceMerge: ["series"] }));
};
