// Draws the data of diagram.py. Everything has an id, so new data changes elements and replaces none: the keyboard's
// focus stays. All words are set as text.

const SVG = "http://www.w3.org/2000/svg";
const SECONDS = 1.2; // between two steps while it plays
const GROWS = 1.1, FITS = 0.92; // a picture may be so much larger, or smaller to stand beside another one
const views = new WeakMap(); // by the element that Streamlit gives each diagram

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".diagram");
  const known = views.get(parentElement), view = known?.root === root ? known : begin(root);
  views.set(parentElement, view);
  if (view.start !== data.start) view.step = data.start;
  view.start = data.start;
  view.data = data;
  view.pick.onclick = () => setTriggerValue("picked", view.step);
  draw(view);
  return () => {
    clearInterval(view.timer);
    view.resized.disconnect();
  };
}

function begin(root) {
  const part = (name) => root.querySelector(name);
  const view = {
    root, step: 1, timer: null, box: part(".box"), picture: layered(part(".box svg")), pictures: part(".pictures"),
    inner: part(".inner"), cell: layered(part(".inner svg")), note: part(".inner p"), caption: part("figcaption"), words: part(".words"),
    player: part(".player"), back: part(".back"), play: part(".play"), on: part(".on"), slider: part("input"),
    place: part("output"), pick: part(".pick"), says: part(".says"), cards: part(".cards"),
  };
  view.back.onclick = () => go(view, view.step - 1);
  view.on.onclick = () => go(view, view.step + 1);
  view.slider.oninput = () => go(view, view.slider.valueAsNumber);
  view.play.onclick = () => (view.timer ? pause(view) : play(view));
  view.box.onscroll = () => hideCutTitles(view.box, view.picture.svg);
  view.resized = new ResizeObserver(() => {
    if (!view.data) return;
    drawCell(view);
    fit(view);
  });
  view.resized.observe(view.pictures);
  return view;
}

function layered(svg) {
  const layers = ["edges", "nodes", "labels"].map((name) => [name, document.createElementNS(SVG, "g")]);
  svg.append(...layers.map(([, layer]) => layer));
  return { svg, ...Object.fromEntries(layers) };
}

function play(view) {
  const last = view.data.frames.length;
  if (view.step >= last) view.step = 0;
  const on = () => {
    if (!view.root.isConnected || view.step >= view.data.frames.length) return pause(view);
    view.step += 1;
    draw(view);
    if (view.step >= view.data.frames.length) pause(view);
  };
  view.timer = setInterval(on, 1000 * SECONDS);
  on();
}

function pause(view) {
  clearInterval(view.timer);
  view.timer = null;
  draw(view);
}

function go(view, step) {
  clearInterval(view.timer);
  view.timer = null;
  view.step = step;
  draw(view);
}

function draw(view) {
  const { data } = view, { frames } = data;
  view.step = Math.max(1, Math.min(view.step, frames.length || 1));
  const changes = {};
  for (const frame of frames.slice(0, view.step))
    for (const [id, change] of Object.entries(frame.changes)) changes[id] = { ...changes[id], ...change };
  const when = ({ steps: [first, last] }) =>
    !frames.length || !last ? "" : view.step < first ? "later" : view.step > last ? "past" : "now";

  drawPicture(view.picture, data, data.summary, changes, when);
  drawCell(view);
  write(view.caption, data.caption);
  view.caption.hidden = !data.caption;
  patch(view.words, data.words.map((text, id) => ({ id, text })), null, "li", (element, { text }) => write(element, text));
  drawStep(view);
  fit(view);
}

function drawPicture({ svg, edges, nodes, labels }, data, summary, changes, when) {
  set(svg, { viewBox: `0 0 ${data.width} ${data.height}`, "aria-label": summary });
  svg.style.maxWidth = `${GROWS * data.width}px`;
  svg.style.minWidth = `${0.75 * data.width}px`; // narrower than that it scrolls, so that it can be read
  svg.style.flex = `1 1 ${data.width}px`;
  svg.parentElement.style.flexBasis = `${FITS * data.width}px`;
  patch(edges, data.edges, SVG, "path", (element, edge) => drawEdge(element, edge, changes[edge.id], when(edge)));
  patch(nodes, data.nodes, SVG, "g", (element, node) => drawNode(element, node, changes[node.id], when(node)));
  patch(labels, data.labels, SVG, "text", (element, { id, kind, x, y, text, anchor }) =>
    write(set(element, { class: `label ${kind}`, x, y, "text-anchor": anchor }), changes[id]?.text ?? text));
}

// The cell at the step at hand, upright where there is little room.
function drawCell({ data, step, inner, cell, note, pictures }) {
  const shown = data.frames[step - 1]?.cell;
  inner.hidden = !data.cell;
  if (!data.cell || !shown) return;
  const { wide, tall } = data.cell;
  drawPicture(cell, pictures.clientWidth < 0.9 * wide.width ? tall : wide, shown.summary, shown.changes, () => "");
  write(note, data.cell.note);
}

// A picture that is wider than its box scrolls in it, by the keyboard too, and shows the column at hand.
function fit({ box, picture: { svg }, data, step }) {
  const scrolls = box.scrollWidth > box.clientWidth + 1;
  set(box, { tabindex: scrolls ? 0 : null, "aria-label": scrolls ? "Picture of the network, scrolls sideways" : null });
  const now = data.frames.length && data.nodes.find(({ steps: [first, last] }) => first <= step && step <= last);
  if (scrolls && now) box.scrollLeft = (now.x / data.width) * svg.clientWidth - box.clientWidth / 2;
  hideCutTitles(box, svg);
}

// Half a title at the end of a picture that scrolls looks like a mistake.
function hideCutTitles(box, svg) {
  const { left, right } = box.getBoundingClientRect();
  for (const title of svg.querySelectorAll(".phase")) {
    const at = title.getBoundingClientRect();
    title.toggleAttribute("data-cut", at.left < left - 1 || at.right > right + 1);
  }
}

function drawEdge(element, edge, change, when) {
  set(element, { d: edge.path, class: `edge ${edge.kind}`, "data-when": when });
  const weight = change?.weight ?? null;
  element.style.strokeWidth = weight === null ? "" : 0.4 + 5 * weight;
  element.style.opacity = weight === null ? "" : 0.12 + 0.88 * weight;
}

function drawNode(element, node, change, when) {
  set(element, { class: `node ${node.kind}${node.bold ? " bold" : ""}`, "data-when": when, "data-mark": change?.mark });
  const { x, y, width, height } = node, left = x - width / 2, top = y - height / 2;
  const levels = change?.levels ?? [], letters = change?.letters ?? "";
  const foot = letters ? 12 : 2, bar = levels.length ? (width - 6) / levels.length : 0, room = height - foot - 2;
  const parts = [
    { id: "title", tag: "title", text: change?.title ?? node.title },
    { id: "box", tag: "rect", x: left, y: top, width, height, rx: node.kind === "mix" || node.kind === "op" ? height / 2 : 5 },
    ...levels.map((level, k) => ({ id: `level-${k}`, tag: "rect", class: `level level-${k}`, ...(node.kind === "valve" ?
      { x: left + 1, y: top + 1, width: (width - 2) * level, height: height - 2, rx: 4 } :
      { x: left + 3 + k * bar + 0.5, y: top + 2 + room * (1 - level), width: bar - 1, height: room * level }) })),
    ...[...letters].map((text, k) => ({ id: `letter-${k}`, tag: "text", class: "letter", x: left + 3 + (k + 0.5) * bar,
      y: top + height - 3, text })),
    { id: "text", tag: "text", x, y: y + 4.5, text: change?.text ?? node.text },
    { id: "sign", tag: "text", x, y: y + height / 2 + 13, text: change?.sign ?? "" },
  ];
  patch(element, parts, SVG, null, (child, { id, tag, text, ...attributes }) => {
    set(child, attributes);
    if (text !== undefined) write(child, text);
  });
}

function drawStep(view) {
  const { data, step } = view, frame = data.frames[step - 1], last = data.frames.length;
  view.player.hidden = last < 2;
  view.pick.hidden = !data.can_pick;
  view.says.hidden = view.cards.hidden = !frame;
  if (!frame) return;
  set(view.slider, { max: last, "aria-valuetext": frame.title });
  view.slider.value = step;
  view.place.textContent = `${step} of ${last}`;
  set(view.back, { "aria-disabled": step <= 1 }); // a disabled button would lose the focus
  set(view.on, { "aria-disabled": step >= last });
  write(view.play, view.timer ? "⏸ Pause" : "▶ Play");
  // A screen reader is told of each step that one takes, and not of those that play.
  set(view.says, { "aria-live": view.timer ? "off" : "polite" });
  write(view.says, frame.says);
  patch(view.cards, frame.cards.map((card) => ({ id: card.heading, ...card })), null, "section", drawCard);
}

function drawCard(element, { heading, text, bars }) {
  patch(element, [
    { id: "heading", tag: "strong", text: heading },
    { id: "text", tag: "p", text },
    ...bars.map((bar, k) => ({ id: `bar-${k}`, tag: "div", bar })),
  ], null, null, (child, { text, bar }) => {
    if (!bar) return write(child, text);
    child.className = "bar";
    patch(child, [{ id: "label", tag: "span", text: bar.label }, { id: "track", tag: "div", parts: bar.parts },
      { id: "note", tag: "small", text: bar.note }], null, null, (inner, { text: words, parts }) => {
      if (!parts) return write(inner, words);
      inner.className = "track";
      patch(inner, parts.map(([kind, share], id) => ({ id, kind, share })), null, "i", (fill, { kind, share }) => {
        fill.className = kind;
        fill.style.width = `${100 * share}%`;
      });
    });
  });
}

// Make the children of an element those of some items, in their order; children are known by the ids of items.
function patch(parent, items, namespace, tag, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.id, child]));
  items.forEach((item, place) => {
    const id = String(item.id), name = tag ?? item.tag;
    const child = known.get(id) ?? (namespace ? document.createElementNS(namespace, name) : document.createElement(name));
    known.delete(id);
    child.dataset.id = id;
    if (parent.children[place] !== child) parent.insertBefore(child, parent.children[place] ?? null);
    update(child, item);
  });
  for (const gone of known.values()) gone.remove();
}

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
  }
  return element;
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
