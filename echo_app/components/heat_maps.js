// Heat maps of units by timesteps with one cursor through all of them; `heat_maps.py` says what the bytes hold.
// A view keeps its DOM and its cursor through reruns: Streamlit calls the function again with new data or another theme.
const NOTHING = 255, STEPS = 254;
const TALL = 256, MOST_BANDS = 128, ZOOMED = 32;  // pixels of a map; rows in it; units shown when zoomed
const NARROWEST = 290, GAP = 26, SPLIT = 4, SIDE = 24;  // widths in pixels
const ABOVE = 40, BELOW = 44;  // title and legend; two lines of labels
const views = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  const view = views.get(parentElement) ?? mounted(parentElement);
  views.set(parentElement, view);
  view.choose = (cell) => setStateValue("chosen", cell);
  if (data !== view.data) take(view, data);
  draw(view);
  return () => { view.observer.disconnect(); views.delete(parentElement); };
}

// --- data ---------------------------------------------------------------------------------------------

function take(view, data) {
  const bytes = new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const said = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  let at = 4 + length;
  for (const map of said.maps) {
    map.values = map.layers.map((place) => {
      const { units, steps } = said.layers[place], size = units.length * steps.length;
      return bytes.subarray(at, at += size);
    });
  }
  const { said: before, anchor } = view, cursor = said.cursor;
  Object.assign(view, { data, said });
  view.canvas.setAttribute("aria-label", said.label);
  // The cursor stays on its unit, wherever that is drawn now, unless Python has moved it.
  const stays = before && String(before.cursor) === String(cursor);
  const [layer, timestep, unit] = stays ?
    [anchor.layer, anchor.timestep, before.layers[anchor.layer].units[anchor.row]] : cursor;
  const row = said.layers[layer]?.units.indexOf(unit) ?? 0;
  view.anchor = cellAt(view, { layer, timestep, row: Math.max(0, row) })
    ?? { layer: 0, timestep: said.layers[0].first, row: 0 };
  keepInSight(view);
  view.cursor = view.anchor;
}

function cellAt(view, cell) {
  const layer = cell && view.said.layers[cell.layer];
  const isThere = layer && cell.row < layer.units.length
    && cell.timestep >= layer.first && cell.timestep < layer.first + layer.steps.length;
  return isThere ? cell : null;
}

function valueOf(map, layer, place, cell) {
  const row = Math.min(cell.row, layer.units.length - 1);
  return map.values[place][row * layer.steps.length + cell.timestep - layer.first];
}

function written(map, byte) {
  if (byte === NOTHING) return "none: a gap";
  const step = (map.high - map.low) / STEPS;
  return decimal(map.low + byte * step, Math.max(0, Math.floor(-Math.log10(step))));
}

const decimal = (value, digits) => {
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
};

// --- layout -------------------------------------------------------------------------------------------

function rowsOf(view, layer) {
  const all = layer.units.length;
  if (view.isZoomed && all > ZOOMED) {
    return { from: Math.min(view.from, all - ZOOMED), shown: ZOOMED, each: 1, pixels: TALL / ZOOMED };
  }
  const each = Math.ceil(all / MOST_BANDS), bands = Math.ceil(all / each);
  return { from: 0, shown: all, each, pixels: Math.max(2, Math.min(14, Math.floor(TALL / bands))) };
}

function laidOut(view) {
  const { maps, layers, columns } = view.said, width = view.canvas.clientWidth;
  const beside = Math.max(1, Math.min(columns, maps.length, Math.floor((width + GAP) / (NARROWEST + GAP))));
  const whole = (width - GAP * (beside - 1)) / beside;
  let top = 0, tallest = 0;
  const boxes = [];
  maps.forEach((map, place) => {
    const column = place % beside;
    if (!column && place) { top += tallest; tallest = 0; }
    const left = column * (whole + GAP), steps = map.layers.reduce((sum, one) => sum + layers[one].steps.length, 0);
    const right = map.layers.length > 1 ? SIDE : 0;
    const cell = (whole - SIDE - right - SPLIT * (map.layers.length - 1)) / steps;
    let x = left + SIDE;
    const parts = map.layers.map((one, order) => {
      const layer = layers[one], rows = rowsOf(view, layer), wide = cell * layer.steps.length;
      const part = { layer, index: one, order, rows, x, y: top + ABOVE, cell, wide,
        high: Math.ceil(rows.shown / rows.each) * rows.pixels };
      x += wide + SPLIT;
      return part;
    });
    const high = Math.max(...parts.map((part) => part.high));
    boxes.push({ map, parts, left, top, wide: whole, high });
    tallest = Math.max(tallest, ABOVE + high + BELOW);
  });
  return { boxes, height: top + tallest };
}

// --- colours ------------------------------------------------------------------------------------------

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

function theme(view) {
  const style = getComputedStyle(view.canvas), paint = document.createElement("canvas").getContext("2d");
  const hex = (name, otherwise) => {  // the canvas turns any colour into #rrggbb
    paint.fillStyle = otherwise;
    paint.fillStyle = style.getPropertyValue(name).trim() || otherwise;
    return paint.fillStyle.startsWith("#") ? paint.fillStyle : otherwise;
  };
  const back = hex("--st-background-color", "#ffffff"), text = hex("--st-text-color", "#31333f");
  const [r, g, b] = rgb(back), isDark = 0.3 * r + 0.6 * g + 0.1 * b < 128;
  const ends = isDark ? [["#a8dcff", "#1f8fd6"], ["#f08c1a", "#ffe3a8"], ["#1fae85", "#c9ffec"]]
    : [["#00324f", "#3d9bd3"], ["#ef8a3c", "#7a2f00"], ["#2fb38c", "#00402e"]];
  return { back, text, border: hex("--st-border-color", "#999999"), font: style.fontFamily,
    centred: ramp([...ends[0], back, ...ends[1]]), rising: ramp([back, ...ends[2]]) };
}

function ramp(stops) {  // STEPS + 1 colours
  const points = stops.map(rgb), last = points.length - 1;
  return Array.from({ length: STEPS + 1 }, (_, step) => {
    const at = (step / STEPS) * last, first = Math.min(Math.floor(at), last - 1);
    return points[first].map((value, c) => Math.round(value + (at - first) * (points[first + 1][c] - value)));
  });
}

const isCentred = (map) => map.low < 0;
const coloursOf = (map, colours) => (isCentred(map) ? colours.centred : colours.rising);

// --- drawing ------------------------------------------------------------------------------------------

function draw(view) {
  const wide = view.canvas.clientWidth;
  if (!wide || !view.said) return;  // a hidden tab
  view.root.classList.toggle("narrow", wide < 560);
  view.layout = laidOut(view);
  view.colours = theme(view);
  const ratio = window.devicePixelRatio || 1, high = view.layout.height;
  for (const canvas of [view.canvas, view.still]) {
    canvas.width = Math.round(wide * ratio);
    canvas.height = Math.round(high * ratio);
    canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
  }
  view.canvas.style.height = `${high}px`;
  const paint = view.still.getContext("2d");
  paint.imageSmoothingEnabled = false;
  for (const box of view.layout.boxes) drawBox(view, paint, box);
  drawZoom(view);
  drawCursor(view);
}

function drawBox(view, paint, box) {
  const { map, parts, left, top, wide } = box, { colours } = view;
  paint.fillStyle = colours.text;
  paint.textBaseline = "alphabetic";
  paint.textAlign = "left";
  paint.font = `600 13px ${colours.font}`;
  paint.fillText(map.title, left + SIDE, top + 13, wide - SIDE);
  drawLegend(view, paint, box);
  for (const part of parts) {
    paint.drawImage(picture(map, part, coloursOf(map, colours), colours), part.x, part.y, part.wide, part.high);
    paint.strokeStyle = colours.border;
    paint.lineWidth = 1;
    paint.strokeRect(part.x - 0.5, part.y - 0.5, part.wide + 1, part.high + 1);
    drawGroups(paint, part, parts.length, colours);
    drawTicks(paint, part, box, colours);
  }
}

// One pixel for each timestep and band of rows. Of rows that share a band: the mean of a gate; of a scale centred on
// zero the value that is farthest from it, as a mean of both signs would hide them.
function picture(map, part, ramp, colours) {
  const { layer, rows, order } = part, steps = layer.steps.length, bands = Math.ceil(rows.shown / rows.each);
  const canvas = document.createElement("canvas");
  canvas.width = steps;
  canvas.height = bands;
  const paint = canvas.getContext("2d"), image = paint.createImageData(steps, bands), values = map.values[order];
  const none = rgb(colours.border);
  for (let band = 0; band < bands; band += 1) {
    const first = rows.from + band * rows.each, end = Math.min(first + rows.each, layer.units.length);
    for (let step = 0; step < steps; step += 1) {
      let sum = 0, count = 0, far = STEPS / 2;
      for (let row = first; row < end; row += 1) {
        const byte = values[row * steps + step];
        if (byte === NOTHING) continue;
        sum += byte;
        count += 1;
        if (Math.abs(byte - STEPS / 2) > Math.abs(far - STEPS / 2)) far = byte;
      }
      const colour = count ? ramp[isCentred(map) ? far : Math.round(sum / count)] : none;
      image.data.set([...colour, count ? 255 : 90], 4 * (band * steps + step));
    }
  }
  paint.putImageData(image, 0, 0);
  return canvas;
}

function drawLegend(view, paint, { map, left, top }) {
  const { colours } = view, ramp = coloursOf(map, colours), wide = 96, y = top + 21;
  const digits = Number.isInteger(map.high) ? 0 : map.high < 0.095 ? 2 : 1;
  const [low, high] = isCentred(map) ? [decimal(map.low, digits), decimal(map.high, digits)] : ["0", "1"];
  paint.font = `11px ${colours.font}`;
  paint.fillText(low, left + SIDE, y + 9);
  const x = left + SIDE + paint.measureText(low).width + 5;
  ramp.forEach(([r, g, b], step) => {
    paint.fillStyle = `rgb(${r},${g},${b})`;
    paint.fillRect(x + (step / STEPS) * (wide - 1), y, 1, 10);
  });
  paint.strokeStyle = colours.border;
  paint.strokeRect(x - 0.5, y - 0.5, wide + 1, 11);
  paint.fillStyle = colours.text;
  paint.fillText(isCentred(map) ? `${high}   (pale: near 0)` : `${high}   (empty: shut, full: open)`,
    x + wide + 5, y + 9);
}

function drawGroups(paint, part, parts, colours) {
  const { layer, rows, x, y, wide, high, order } = part, isLast = parts > 1 && order === parts - 1;
  paint.font = `11px ${colours.font}`;
  paint.textBaseline = "middle";
  let row = 0, free = -Infinity;
  for (const [position, count] of layer.groups) {
    const [from, to] = [row, row + count].map((edge) =>
      Math.max(0, Math.min(high, ((edge - rows.from) / rows.each) * rows.pixels)));
    row += count;
    if (to <= from) continue;
    // A border is seen on pale and on dark cells, and reaches out of the map towards the labels.
    const start = x - (order ? 0 : 5), end = x + wide + (isLast ? 5 : 0);
    if (to < high) {
      for (const [colour, width] of [[colours.back, 3], [colours.text, 1]]) {
        paint.strokeStyle = colour;
        paint.lineWidth = width;
        line(paint, start, y + to, end, y + to);
      }
    }
    const middle = (from + to) / 2;
    if (middle - free < 12 || (order && !isLast)) continue;
    free = middle;
    paint.fillStyle = colours.text;
    paint.textAlign = isLast ? "left" : "right";
    paint.fillText(position, isLast ? x + wide + 7 : x - 7, y + middle, SIDE - 8);
  }
  paint.textAlign = "left";
  paint.textBaseline = "alphabetic";
}

function drawTicks(paint, part, box, colours) {
  const { layer, x, y, cell } = part, below = y + box.high;
  paint.fillStyle = colours.text;
  paint.textAlign = "center";
  paint.font = `11px ${colours.font}`;
  const ticks = layer.steps.map((_, step) => String(layer.first + step));
  const nth = Math.ceil((paint.measureText(ticks.at(-1)).width + 5) / cell);
  ticks.forEach((tick, step) => {
    if (step % nth === 0) paint.fillText(tick, x + (step + 0.5) * cell, below + 13);
  });
  paint.globalAlpha = 0.7;
  const fit = layer.ticks.every((tick) => paint.measureText(tick).width <= cell - 3);
  if (fit) layer.ticks.forEach((tick, step) => paint.fillText(tick, x + (step + 0.5) * cell, below + 26));
  else paint.fillText(layer.name, x + part.wide / 2, below + 26, part.wide);
  paint.globalAlpha = 1;
  paint.textAlign = "left";
}

function line(paint, x, y, toX, toY) {
  paint.beginPath();
  paint.moveTo(x, y);
  paint.lineTo(toX, toY);
  paint.stroke();
}

// --- the cursor ---------------------------------------------------------------------------------------

// The part of a map that has the cursor's timestep: that of its layer where the map has it.
function partAt(box, cell) {
  const has = box.parts.filter(({ layer }) =>
    cell.timestep >= layer.first && cell.timestep < layer.first + layer.steps.length);
  return has.find((part) => part.index === cell.layer) ?? has[0];
}

function drawCursor(view) {
  const { canvas, still, cursor, colours } = view, paint = canvas.getContext("2d");
  paint.save();
  paint.setTransform(1, 0, 0, 1, 0, 0);
  paint.clearRect(0, 0, canvas.width, canvas.height);
  paint.drawImage(still, 0, 0);
  paint.restore();
  for (const box of view.layout.boxes) {
    const part = partAt(box, cursor);
    if (!part) continue;
    const { rows, layer, x, y, cell, wide, high } = part, row = Math.min(cursor.row, layer.units.length - 1);
    const left = x + (cursor.timestep - layer.first) * cell;
    const top = y + Math.floor((row - rows.from) / rows.each) * rows.pixels;
    paint.strokeStyle = colours.text;
    paint.globalAlpha = 0.6;
    paint.strokeRect(left + 0.5, y + 0.5, cell - 1, high - 1);
    if (top >= y && top < y + high) {
      paint.strokeRect(x + 0.5, top - 0.5, wide - 1, rows.pixels + 1);
      paint.globalAlpha = 1;
      frame(paint, left, top, cell, Math.max(rows.pixels, 4), colours);
    }
    paint.globalAlpha = 1;
  }
  sayCursor(view);
}

function frame(paint, x, y, wide, high, colours) {
  for (const [colour, outside, width] of [[colours.back, 2, 3], [colours.text, 1, 1.5]]) {
    paint.strokeStyle = colour;
    paint.lineWidth = width;
    paint.strokeRect(x - outside, y - outside, wide + 2 * outside, high + 2 * outside);
  }
  paint.lineWidth = 1;
}

function sayCursor(view) {
  const { said, cursor, readout } = view, layer = said.layers[cursor.layer];
  const head = document.createElement("strong"), note = layer.notes[cursor.row];
  const step = layer.steps[cursor.timestep - layer.first], unit = layer.units[cursor.row];
  head.textContent = `Timestep ${cursor.timestep}, ${step}: ${layer.name}, unit ${unit}${note ? `, ${note}` : ""}.`;
  const values = new Map();  // name of a quantity -> what it is, in each network that has it
  for (const { map, parts } of view.layout.boxes) {
    const part = partAt({ parts }, cursor);
    if (!part) continue;
    const { units } = part.layer, value = written(map, valueOf(map, part.layer, part.order, cursor));
    const which = part.index === cursor.layer ? "" : ` (unit ${units[Math.min(cursor.row, units.length - 1)]})`;
    values.set(map.name, [...(values.get(map.name) ?? []), map.of ? `${map.of}${which}: ${value}` : value]);
  }
  const spans = [...values].flatMap(([name, each]) => {
    const span = document.createElement("span");
    span.textContent = `${name} ${each.join(", ")}`;
    return [span, " "];
  });
  readout.replaceChildren(head, " ", ...spans);
}

function cellUnder(view, event) {
  const box = view.canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  for (const { parts } of view.layout?.boxes ?? []) {
    for (const { layer, index, rows, x: left, y: top, cell, wide, high } of parts) {
      if (x < left || x >= left + wide || y < top || y >= top + high) continue;
      const row = rows.from + Math.floor((y - top) / rows.pixels) * rows.each;
      return { layer: index, timestep: layer.first + Math.floor((x - left) / cell),
        row: Math.min(row, layer.units.length - 1) };
    }
  }
  return null;
}

function moved(view, cell, isAnchor) {
  if (!cell) return;
  view.cursor = cell;
  if (isAnchor) view.anchor = cell;
  if (isAnchor && keepInSight(view)) draw(view);
  else drawCursor(view);
}

// Along time, from one layer into the next one of the same map.
function inTime(view, cell, timestep) {
  const box = view.layout.boxes.find(({ map }) => map.layers.includes(cell.layer)), { layers } = view.said;
  const first = layers[box.map.layers[0]].first, last = layers[box.map.layers.at(-1)];
  const at = Math.max(first, Math.min(last.first + last.steps.length - 1, timestep));
  const layer = box.map.layers.findLast((one) => layers[one].first <= at);
  return { layer, timestep: at, row: Math.min(cell.row, layers[layer].units.length - 1) };
}

function pressed(view, event) {
  const cell = view.cursor, rows = view.said.layers[cell.layer].units.length;
  const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
  const units = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10 };
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key in steps) moved(view, inTime(view, cell, cell.timestep + steps[event.key]), true);
  else if (event.key in units) {
    moved(view, { ...cell, row: Math.max(0, Math.min(rows - 1, cell.row + units[event.key])) }, true);
  } else if (event.key === "Enter" || event.key === " ") chosen(view, cell);
  else return;
  event.preventDefault();
  event.stopPropagation();
}

function chosen(view, cell) {
  if (!cell) return;
  moved(view, cell, true);
  view.choose([cell.layer, cell.timestep, view.said.layers[cell.layer].units[cell.row]]);
}

// --- zoom ---------------------------------------------------------------------------------------------

const mostUnits = (view) => Math.max(...view.said.layers.map((layer) => layer.units.length));

function keepInSight(view) {  // whether the picture must be drawn again
  if (!view.isZoomed) return false;
  const before = view.from, { row } = view.anchor;
  view.from = Math.max(row - ZOOMED + 1, Math.min(row, view.from));
  return view.from !== before;
}

function drawZoom(view) {
  const most = mostUnits(view), each = Math.ceil(most / MOST_BANDS), { button, label, range, note } = view;
  button.parentElement.hidden = most <= 2 * ZOOMED;
  button.textContent = view.isZoomed ? `Show all ${most} units` : `Zoom in: ${ZOOMED} units around the cursor`;
  label.hidden = !view.isZoomed;
  range.max = most - ZOOMED;
  range.value = view.from;
  note.textContent = view.isZoomed ? `rows ${view.from + 1} to ${view.from + ZOOMED} of ${most}`
    : each > 1 ? `Each row stands for ${each} neighbouring units: the state farthest from 0, the mean of a gate.` : "";
}

function zoomed(view) {
  view.isZoomed = !view.isZoomed;
  view.from = Math.max(0, Math.min(mostUnits(view) - ZOOMED, view.anchor.row - ZOOMED / 2));
  draw(view);
}

// --- mounting -----------------------------------------------------------------------------------------

function mounted(parentElement) {
  const find = (selector) => parentElement.querySelector(selector);
  const view = { root: find(".maps"), canvas: find("canvas"), readout: find(".readout"), button: find("button"),
    label: find("label"), range: find("input"), note: find(".zoom span"), still: document.createElement("canvas"),
    isZoomed: false, from: 0 };
  const { canvas } = view;
  canvas.onpointermove = (event) => moved(view, cellUnder(view, event), false);
  canvas.onpointerleave = () => view.anchor && moved(view, view.anchor, false);
  canvas.onclick = (event) => chosen(view, cellUnder(view, event));
  canvas.onkeydown = (event) => pressed(view, event);
  view.button.onclick = () => zoomed(view);
  view.range.oninput = () => { view.from = Number(view.range.value); draw(view); };
  let wide = 0;
  view.observer = new ResizeObserver(() => {
    if (canvas.clientWidth !== wide) { wide = canvas.clientWidth; draw(view); }
  });
  view.observer.observe(canvas);
  return view;
}
