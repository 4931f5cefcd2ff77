// The table of trials: sorted, searched, and filtered by what was brushed; a row opens to its details.
"use strict";
R.table = () => {
  const table = document.getElementById("table");
  if (!table) return;
  const { metrics, paths, overrides } = R.data.trials;
  const many = new Set(R.rows.map((row) => row[BRACKET])).size > 1;
  const columns = [
    ["rank", (row) => R.byId.get(row[ID]).rank + 1, true],
    ["trial", (row) => row[ID], true],
    ...(R.rows.some((row) => row[REPEATS] >= 0) ? [["seed of", (row) => (row[REPEATS] < 0 ? null : row[REPEATS]), true]] : []),
    ...(R.rows.some((row) => row[SEEDS]) ? [["over seeds", (row) => row[SEEDS], false]] : []),
    ["state", R.state, false],
    ...metrics.map((name, k) => [name, (row) => row[VALUES][k], true]),
    [`at ${R.data.unit}`, (row) => row[BEST_AT] || null, true],
    ["trained", (row) => row[LAST], true],
    ...(many ? [["bracket", (row) => row[BRACKET], true]] : []),
    ["seconds", (row) => row[SECONDS], true],
    ["what became of it", (row) => row[FATE], false],
    ...paths.map((path, k) => [path, (row) => row[CONFIG][k], typeof (R.rows.find((row) => row[CONFIG][k] !== "") || [])[CONFIG]?.[k] === "number"]),
    ...(R.rows.some((row) => row[NODES]) ? [["node", (row) => row[NODES], false]] : []),
    ...(R.rows.some((row) => row[ORIGIN]) ? [["origin", (row) => row[ORIGIN], false]] : []),
  ];
  const haystack = R.rows.map((row) => columns.map(([name, get]) => `${name}=${R.number(get(row), 5)}`).join(" ").toLowerCase());
  const where = new Map(R.rows.map((row, i) => [row, i]));
  let by = 0, down = false, shown = 50, words = [], open = null;

  const search = R.element("input", "", { type: "search", placeholder: "search: failed relu lr=0.01", "aria-label": "search trials" });
  const count = R.element("span");
  const clear = R.element("button", "all trials", { type: "button" });
  document.getElementById("table-tools").append(search, count, clear);
  const more = R.element("button", "show more", { type: "button" });
  document.getElementById("table-more").append(more);
  const head = table.createTHead().insertRow(), body = table.createTBody();
  columns.forEach(([name, , right], k) => {
    const cell = R.element("th", name, { scope: "col", class: right ? "r" : "" });
    cell.addEventListener("click", () => { [by, down] = [k, by === k ? !down : false]; draw(); });
    head.append(cell);
  });

  const compare = (a, b) => {
    const [x, y] = [columns[by][1](a), columns[by][1](b)];
    const [noX, noY] = [x === null || x === "", y === null || y === ""];
    if (noX || noY) return noX - noY;  // what isn't there comes last, whichever way
    const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
    return (down ? -order : order) || where.get(a) - where.get(b);
  };
  const details = (row) => {
    const line = body.insertRow();
    line.className = "details";
    const cell = line.insertCell();
    cell.colSpan = columns.length;
    cell.append(R.element("div", row[FATE]));
    if (row[REPEATS] >= 0) cell.append(R.element("div", `A further seed of trial ${row[REPEATS]}.`));
    const command = overrides[row[ID]];
    if (command) cell.append(R.command(`${R.data.train} ${command}`.trim()));
    else cell.append(R.element("div", "leaderboard.csv has its hyperparameters to the last digit."));
  };
  const draw = () => {
    const found = R.rows.filter((row, i) => (!R.selected || R.selected.has(row[ID])) && words.every((word) => haystack[i].includes(word)));
    found.sort(compare);
    const picked = R.byId.get(open);
    if (picked && !found.slice(0, shown).includes(picked.row)) found.unshift(picked.row);
    body.replaceChildren();
    for (const row of found.slice(0, shown)) {
      const line = body.insertRow();
      line.className = row[ID] === open ? "picked" : "";
      columns.forEach(([name, get, right]) => {
        const value = get(row), text = R.number(value, name === "seconds" ? 3 : 4);
        const cell = R.element("td", value === "" || value === null ? "" : text, right ? { class: "r" } : { title: text });
        if (name === "state") { const dot = R.element("i", "", { class: "dot" }); dot.style.background = R.fates[text]; cell.prepend(dot); }
        line.append(cell);
      });
      line.addEventListener("click", () => R.pick(row[ID]));
      if (row[ID] === open) details(row);
    }
    count.textContent = `${found.length} of ${R.rows.length} trials${R.selected ? ", as brushed above" : ""}`;
    clear.style.display = R.selected || words.length ? "" : "none";
    more.style.display = found.length > shown ? "" : "none";
    [...head.cells].forEach((cell, k) => { cell.textContent = columns[k][0] + (k === by ? (down ? " ↓" : " ↑") : ""); });
  };
  search.addEventListener("input", () => { words = search.value.toLowerCase().split(/\s+/).filter(Boolean); shown = 50; draw(); });
  more.addEventListener("click", () => { shown += 200; draw(); });
  clear.addEventListener("click", () => { search.value = ""; words = []; R.select(null); draw(); });
  R.onSelect.push(() => { shown = 50; draw(); });
  R.onPick.push((id) => { open = id; draw(); });
  draw();
};
