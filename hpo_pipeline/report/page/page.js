// Draws the charts, from the top down, and makes commands easy to copy.
"use strict";
R.copyable = (box) => {
  const button = R.element("button", "copy", { type: "button", class: "copy" });
  button.addEventListener("click", async () => {
    const text = box.querySelector("code").textContent;
    try { await navigator.clipboard.writeText(text); } catch {
      const range = document.createRange();
      range.selectNodeContents(box.querySelector("code"));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      document.execCommand("copy");
    }
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
  box.append(button);
};
R.command = (text) => {
  const box = R.element("pre", "", { class: "command" });
  box.append(R.element("code", text));
  R.copyable(box);
  return box;
};
R.load().then(async () => {
  document.querySelectorAll("pre.command").forEach(R.copyable);
  for (const cell of document.querySelectorAll(".matrix td[data-rho]")) {
    const rho = Number(cell.dataset.rho), strength = Math.abs(rho);
    cell.style.background = rho >= 0 ? `rgba(0, 114, 178, ${0.06 + 0.94 * strength ** 1.3})` : `rgba(213, 94, 0, ${0.06 + 0.94 * strength ** 1.3})`;
    cell.style.color = strength > 0.6 ? "#fff" : "";
  }
  if (R.table) R.table();
  for (const element of document.querySelectorAll(".chart")) {
    R.draw[element.dataset.chart](element);
    await new Promise((next) => setTimeout(next));  // what is drawn already answers meanwhile
  }
  document.documentElement.dataset.drawn = "all";
});
