// The grid of windows, whose rows can be picked by a click, or by arrow keys and Enter. Python has escaped its HTML.
const drawn = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  if (drawn.get(parentElement) !== data) {
    parentElement.querySelector(".echo-windows").innerHTML = data;
    drawn.set(parentElement, data);
  }
  const root = parentElement.querySelector(".echo-windows");
  const rowOf = (target) => target.closest("tr[data-window]");
  const pick = (row) => row && setTriggerValue("picked", Number(row.dataset.window));
  root.onclick = (event) => pick(rowOf(event.target));
  root.onkeydown = (event) => {
    const rows = [...root.querySelectorAll("tr[data-window]")], at = rows.indexOf(rowOf(event.target));
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter") pick(rows[at]);
    else if (step) rows[Math.min(rows.length - 1, Math.max(0, at + step))]?.focus();
    else return;
    event.preventDefault();
  };
}
