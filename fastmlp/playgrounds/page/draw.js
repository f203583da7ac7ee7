// What the canvases show. Each function draws one frame from scratch.
import "./vendor/d3-array.min.js";
import "./vendor/d3-contour.min.js";
import { BLUE, css, DIVERGING, INK, LINE, ORANGE } from "./colours.js";
import { decoded, shades } from "./frames.js";

const { contours } = globalThis.d3;
const EDGES = 120; // the strongest between two layers; more would be a grey cloud

/** Size a canvas to its box, in device pixels; return its context in CSS pixels. */
export function context(canvas) {
  const ratio = Math.min(globalThis.devicePixelRatio || 1, 2);
  const w = canvas.clientWidth, h = canvas.clientHeight;
  if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
    canvas.width = Math.round(w * ratio);
    canvas.height = Math.round(h * ratio);
  }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, w, h);
  return [ctx, w, h];
}

// ---- the fit ----------------------------------------------------------------------------------

const scratch = document.createElement("canvas");

/** Where the figure's axes lie; `y` of a curve is the target. */
export function scales(data, w, h, range) {
  const left = 44, bottom = 30, top = 8, right = 10;
  const a = axis(data, 0);
  const b = data.over.length === 2 ? axis(data, 1) : { low: range[0], high: range[1] };
  const pw = w - left - right, ph = h - top - bottom;
  return {
    left, top, pw, ph, a, b,
    x: (v) => left + ((v - a.low) / (a.high - a.low)) * pw,
    y: (v) => top + (1 - (v - b.low) / (b.high - b.low)) * ph,
    fromX: (p) => a.low + ((p - left) / pw) * (a.high - a.low),
    fromY: (p) => b.low + (1 - (p - top) / ph) * (b.high - b.low),
  };
}

export const axis = (data, i) => data.columns.find((c) => c.name === data.over[i]);

/** Range of the target of a figure over one column: the points and the truth, with a margin. */
export function rangeOf(data) {
  if (data.task === "classification") return [-0.08, 1.08];
  if (data.range) return data.range;
  let low = Infinity, high = -Infinity;
  for (const name of ["points", "held"]) {
    const p = data.arrays[name];
    for (let i = 1; i < p.length; i += 2) {
      low = Math.min(low, p[i]);
      high = Math.max(high, p[i]);
    }
  }
  const margin = (high - low || 1) * 0.1;
  data.range = [low - margin, high + margin];
  return data.range;
}

const ticks = (low, high, n = 5) => {
  const step = 10 ** Math.floor(Math.log10((high - low) / n));
  const nice = [1, 2, 5, 10].map((k) => k * step).find((s) => (high - low) / s <= n);
  const found = [];
  for (let v = Math.ceil(low / nice) * nice; v <= high + nice * 1e-9; v += nice) {
    found.push(Math.abs(v) < nice * 1e-9 ? 0 : v);
  }
  return found;
};
const short = (v) => {
  const size = Math.abs(v);
  if (size >= 1e6 || (size && size < 1e-3)) return v.toExponential(0);
  return size >= 1e4 ? `${Number((v / 1000).toPrecision(4))}k` : String(Number(v.toPrecision(4)));
};

function axes(ctx, s, data, w, h) {
  ctx.strokeStyle = LINE;
  ctx.lineWidth = 1;
  ctx.strokeRect(s.left, s.top, s.pw, s.ph);
  ctx.fillStyle = INK;
  ctx.font = "11px system-ui, sans-serif";
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  for (const v of ticks(s.a.low, s.a.high)) ctx.fillText(short(v), s.x(v), s.top + s.ph + 4);
  ctx.fillText(data.over[0], s.left + s.pw / 2, s.top + s.ph + 17);
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  for (const v of ticks(s.b.low, s.b.high)) ctx.fillText(short(v), s.left - 4, s.y(v));
  ctx.save();
  ctx.translate(9, s.top + s.ph / 2);
  ctx.rotate(-Math.PI / 2);
  ctx.textAlign = "center";
  const name = data.over.length === 2 ? data.over[1] : data.target;
  ctx.fillText(data.over.length === 2 || data.task === "regression" ? name : `P(${name})`, 0, 0);
  ctx.restore();
}

function trace(ctx, s, n, values, style) {
  Object.assign(ctx, { lineWidth: 2, strokeStyle: INK, globalAlpha: 1 }, style);
  ctx.setLineDash(style.dash || []);
  ctx.beginPath();
  for (let i = 0; i < n; i++) {
    const x = s.left + (i / (n - 1)) * s.pw, y = s.y(values[i]);
    if (i) ctx.lineTo(x, y);
    else ctx.moveTo(x, y);
  }
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.globalAlpha = 1;
}

/** Paths of a level of a surface of n x n values, in pixels. */
export function levelPaths(values, n, level, s) {
  const found = contours().size([n, n]).smooth(true).contour(values, level);
  const inside = ([x, y]) => x > 0.5 && y > 0.5 && x < n - 0.5 && y < n - 0.5;
  const at = ([x, y]) => [
    s.left + ((x - 0.5) / (n - 1)) * s.pw, s.top + (1 - (y - 0.5) / (n - 1)) * s.ph,
  ];
  const paths = [];
  for (const polygon of found.coordinates) {
    for (const ring of polygon) {
      let path = [];
      for (const p of ring) {
        if (inside(p)) path.push(at(p));
        else if (path.length) {
          paths.push(path);
          path = [];
        }
      }
      if (path.length > 1) paths.push(path);
    }
  }
  return paths;
}

const level = (ctx, values, n, at, s, style) => strokePaths(ctx, levelPaths(values, n, at, s), style);

function strokePaths(ctx, paths, style) {
  Object.assign(ctx, { lineWidth: 1.6, strokeStyle: INK }, style);
  ctx.setLineDash(style.dash || []);
  ctx.beginPath();
  for (const path of paths) {
    path.forEach(([x, y], i) => (i ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
  }
  ctx.stroke();
  ctx.setLineDash([]);
}

/** Draw n x n values, coded 0 to 255, over the figure. */
function surface(ctx, coded, n, s) {
  scratch.width = scratch.height = n;
  const own = scratch.getContext("2d"), image = own.createImageData(n, n);
  const pixels = new Uint32Array(image.data.buffer);
  for (let row = 0; row < n; row++) {
    for (let i = 0; i < n; i++) pixels[(n - 1 - row) * n + i] = DIVERGING[coded[row * n + i]];
  }
  own.putImageData(image, 0, 0);
  ctx.imageSmoothingEnabled = true;
  ctx.drawImage(scratch, s.left, s.top, s.pw, s.ph);
}

function points(ctx, s, data, frame, name, hollow) {
  const p = data.arrays[name], k = data.over.length + 1;
  // Many points, or a small figure, need small marks.
  const many = p.length / k > 300, size = (many ? 0.65 : 1) * (s.pw < 220 ? 0.75 : 1);
  ctx.lineWidth = 1.2 * size;
  for (let i = 0; i < p.length; i += k) {
    const x = s.x(p[i]), y = s.y(p[i + 1]);
    const value = p[i + k - 1];
    const blue = k === 3 ? isBlue(data, frame, value) : false;
    const colour = k === 3 ? css(blue ? BLUE : ORANGE) : INK;
    const r = (hollow ? 2.4 : 3.6) * size;
    ctx.beginPath();
    if (k === 3 && !blue) ctx.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8);
    else ctx.arc(x, y, r, 0, 7);
    if (hollow) {
      ctx.globalAlpha = k === 3 ? 0.5 : 0.22;
      ctx.strokeStyle = colour;
      ctx.stroke();
      ctx.globalAlpha = 1;
    } else {
      ctx.fillStyle = colour;
      ctx.fill();
      ctx.strokeStyle = "#fff";
      ctx.stroke();
    }
  }
}

/** Whether a row is drawn as a blue circle rather than an orange square. */
export function isBlue(data, frame, value) {
  if (data.task !== "classification") return value > (frame.low + frame.high) / 2;
  return data.classes.length > 2 ? value === frame.shown : value === 1;
}

/** Draw the fitted surface or curve, the truth, the rows, and what is laid over them. */
export function drawFit(canvas, data, frame, extra = {}) {
  const [ctx, w, h] = context(canvas);
  drawFitOn(ctx, w, h, data, frame, extra);
}

export function drawFitOn(ctx, w, h, data, frame, extra = {}) {
  const s = scales(data, w, h, rangeOf(data));
  const values = decoded(frame), two = data.over.length === 2;
  ctx.fillStyle = "#fff";
  ctx.fillRect(0, 0, w, h);
  ctx.save();
  ctx.beginPath();
  ctx.rect(s.left, s.top, s.pw, s.ph);
  ctx.clip();
  if (two) {
    const n = Math.round(Math.sqrt(values.length));
    const { members } = extra;
    let coded;
    if (members) {  // their disagreement is drawn from white to blue
      const most = Math.max(...members.spread, 1e-9);
      coded = Uint8Array.from(members.spread, (v) => 127.5 + (127.5 * v) / most);
    } else coded = shades(frame);
    surface(ctx, coded, n, s);
    const middle = data.task === "classification" ? 0.5 : null;
    if (middle !== null) {
      level(ctx, members ? members.mean : values, n, middle, s, {});
      if (data.arrays.truth) {
        // The truth does not change: its line is found once for each size of the figure.
        const key = `${s.pw} ${s.ph}`;
        if (data.line?.key !== key) data.line = { key, paths: levelPaths(data.arrays.truth, n, middle, s) };
        strokePaths(ctx, data.line.paths, { dash: [5, 4] });
      }
    } else {
      for (const v of ticks(frame.low, frame.high, 7)) level(ctx, values, n, v, s, { lineWidth: 0.8 });
    }
  }
  if (extra.held !== false) points(ctx, s, data, frame, "held", true);
  points(ctx, s, data, frame, "points", false);
  if (!two) {
    const n = values.length, { truth } = data.arrays;
    if (truth) trace(ctx, s, n, truth, { strokeStyle: INK, lineWidth: 1.6, dash: [6, 4] });
    if (extra.members) {
      for (let i = 0; i < extra.members.n; i++) {
        const own = extra.members.curves.subarray(i * n, (i + 1) * n);
        trace(ctx, s, n, own, { strokeStyle: css(BLUE), lineWidth: 1, globalAlpha: 0.3 });
      }
      trace(ctx, s, n, extra.members.mean, { lineWidth: 2.4 });
    }
    if (frame.arrays.contribution) {
      const own = frame.arrays.contribution;
      trace(ctx, s, own.length, own, { strokeStyle: css(ORANGE), dash: [2, 3] });
    }
    const turn = frame.unit?.turn;
    if (turn !== null && turn > s.a.low && turn < s.a.high) {
      Object.assign(ctx, { strokeStyle: css(ORANGE), lineWidth: 1 });
      ctx.beginPath();
      ctx.moveTo(s.x(turn), s.top);
      ctx.lineTo(s.x(turn), s.top + s.ph);
      ctx.stroke();
    }
    if (!extra.members) trace(ctx, s, n, values, { strokeStyle: css(BLUE), lineWidth: 2.4 });
  }
  if (extra.cursor) {
    const x = s.x(extra.cursor[0]), y = s.y(extra.cursor[1]);
    ctx.strokeStyle = INK;
    ctx.lineWidth = 1.5;
    ctx.beginPath();
    ctx.moveTo(x - 8, y);
    ctx.lineTo(x + 8, y);
    ctx.moveTo(x, y - 8);
    ctx.lineTo(x, y + 8);
    ctx.stroke();
  }
  ctx.restore();
  axes(ctx, s, data, w, h);
}

// ---- the network ------------------------------------------------------------------------------

/** Where the tiles of each layer lie: inputs, hidden layers, output. */
export function placed(data, frame, w, h) {
  const counts = [Math.min(data.n_inputs, 64)];
  for (let i = 0; i < frame.layers.length; i++) counts.push(frame.arrays[`b${i}`].length);
  const width = w / counts.length;
  const room = h - 8;
  return counts.map((n, c) => {
    let columns = 1, size = 0;
    for (let k = 1; k <= 8; k++) {
      const rows = Math.ceil(n / k);
      const fits = Math.min(room / rows - 3, (width * 0.72) / k - 3, 44);
      if (fits > size + 0.5) [size, columns] = [fits, k];
    }
    size = Math.max(size, 4);
    const rows = Math.ceil(n / columns), step = size + 3;
    const left = c * width + (width - columns * step) / 2, top = 4 + (room - rows * step) / 2;
    return Array.from({ length: n }, (_, i) => ({
      x: left + Math.floor(i / rows) * step, y: top + (i % rows) * step, size,
    }));
  });
}

const atlas = document.createElement("canvas");

function tiles(ctx, places, maps, count, two, dead, colour) {
  const per = maps.length / count;
  if (two) {
    const n = Math.round(Math.sqrt(per));
    atlas.width = n;
    atlas.height = n * count;
    const own = atlas.getContext("2d"), image = own.createImageData(n, n * count);
    const pixels = new Uint32Array(image.data.buffer);
    for (let u = 0; u < count; u++) {
      for (let row = 0; row < n; row++) {
        const to = (u * n + n - 1 - row) * n, from = u * per + row * n;
        for (let i = 0; i < n; i++) pixels[to + i] = DIVERGING[maps[from + i] + 128];
      }
    }
    own.putImageData(image, 0, 0);
    places.forEach(({ x, y, size }, u) => ctx.drawImage(atlas, 0, u * n, n, n, x, y, size, size));
  } else {
    places.forEach(({ x, y, size }, u) => {
      ctx.fillStyle = "#fff";
      ctx.fillRect(x, y, size, size);
      ctx.strokeStyle = colour;
      ctx.lineWidth = size > 16 ? 1.6 : 1;
      ctx.beginPath();
      for (let i = 0; i < per; i++) {
        const px = x + (i / (per - 1)) * size, v = maps[u * per + i] / 127;
        const py = y + size * (0.5 - 0.44 * v);
        if (i) ctx.lineTo(px, py);
        else ctx.moveTo(px, py);
      }
      ctx.stroke();
    });
  }
  places.forEach(({ x, y, size }, u) => {
    if (dead && dead[u]) {
      ctx.fillStyle = "rgba(150,156,165,.78)";
      ctx.fillRect(x, y, size, size);
      ctx.strokeStyle = "#fff";
      ctx.lineWidth = 1;
      ctx.beginPath();
      ctx.moveTo(x + size * 0.3, y + size * 0.3);
      ctx.lineTo(x + size * 0.7, y + size * 0.7);
      ctx.moveTo(x + size * 0.7, y + size * 0.3);
      ctx.lineTo(x + size * 0.3, y + size * 0.7);
      ctx.stroke();
    }
    ctx.strokeStyle = "#aab2bd";
    ctx.lineWidth = 1;
    ctx.strokeRect(x, y, size, size);
  });
}

/** Draw edges one by one: overlapping ones in a single path take several times as long. */
function edges(ctx, from, to, weights, chosen) {
  const n = to.length, size = weights.map(Math.abs);
  let most = 0;
  for (const v of size) if (v > most) most = v;
  if (!most) return;
  let least = 0;
  if (size.length > EDGES) least = Float32Array.from(size).sort()[size.length - EDGES];
  const found = [];
  for (let i = 0; i < from.length; i++) {
    for (let k = 0; k < n; k++) {
      const a = size[i * n + k], own = chosen && (chosen[0] === i || chosen[1] === k);
      // An exact zero has no edge.
      if (a && (a >= least || own)) found.push([(own ? 10 : 0) + Math.ceil((8 * a) / most), i, k]);
    }
  }
  found.sort((a, b) => a[0] - b[0]);
  const curved = found.length <= 100;
  for (const [key, i, k] of found) {
    const own = key > 10, share = (key % 10) / 8, p = from[i], q = to[k];
    ctx.strokeStyle = css(weights[i * n + k] > 0 ? BLUE : ORANGE);
    ctx.globalAlpha = own ? 0.95 : chosen ? 0.08 + 0.25 * share : 0.15 + 0.6 * share;
    ctx.lineWidth = 0.4 + 3.6 * share;
    const x0 = p.x + p.size, y0 = p.y + p.size / 2, x1 = q.x, y1 = q.y + q.size / 2;
    const bend = (x1 - x0) * 0.4;
    ctx.beginPath();
    ctx.moveTo(x0, y0);
    if (curved) ctx.bezierCurveTo(x0 + bend, y0, x1 - bend, y1, x1, y1);
    else ctx.lineTo(x1, y1);
    ctx.stroke();
  }
  ctx.globalAlpha = 1;
}

/** Maps of the inputs themselves: a ramp along the column, or grey for one that is held. */
function inputMaps(data, count) {
  const two = data.over.length === 2, n = two ? 25 : 64;
  const maps = new Int8Array(count * (two ? n * n : n));
  data.input_names.slice(0, count).forEach((name, u) => {
    const place = data.over.indexOf(name);
    if (place < 0) return;
    for (let i = 0; i < maps.length / count; i++) {
      const along = two ? (place ? Math.floor(i / n) : i % n) : i;
      maps[(u * maps.length) / count + i] = Math.round((along / (n - 1)) * 254 - 127);
    }
  });
  return maps;
}

/** Draw the network; `selected` is [layer, unit] of a hidden layer, counted from 0. */
export function drawNetwork(canvas, data, frame, selected) {
  const [ctx, w, h] = context(canvas);
  const two = data.over.length === 2, places = placed(data, frame, w, h);
  const layers = frame.layers.length;
  const chosen = (i) => {
    if (!selected) return null;
    const [layer, unit] = selected, own = unit - frame.layers[layer]?.first;
    if (layer === i) return [-1, own];
    if (layer + 1 === i) return [own, -1];
    return null;
  };
  for (let i = 0; i < layers; i++) {
    edges(ctx, places[i], places[i + 1], frame.arrays[`w${i}`], chosen(i));
  }
  tiles(ctx, places[0], inputMaps(data, places[0].length), places[0].length, two, null, INK);
  for (let i = 0; i < layers - 1; i++) {
    tiles(ctx, places[i + 1], frame.arrays[`maps${i}`], places[i + 1].length, two,
      frame.arrays[`dead${i}`], css(BLUE));
  }
  drawOutput(ctx, places[layers], data, frame, two);
  if (selected) {
    const place = places[selected[0] + 1]?.[selected[1] - frame.layers[selected[0]]?.first];
    if (place) {
      ctx.strokeStyle = INK;
      ctx.lineWidth = 3;
      ctx.strokeRect(place.x - 1, place.y - 1, place.size + 2, place.size + 2);
    }
  }
  return places;
}

function drawOutput(ctx, places, data, frame, two) {
  const values = decoded(frame), at = data.classes.length > 2 ? frame.shown || 0 : 0;
  const place = places[Math.min(at, places.length - 1)];
  const s = { left: place.x, top: place.y, pw: place.size, ph: place.size };
  for (const { x, y, size } of places) {
    ctx.fillStyle = "#fff";
    ctx.fillRect(x, y, size, size);
  }
  if (two) {
    const n = Math.round(Math.sqrt(values.length));
    surface(ctx, shades(frame), n, s);
  } else {
    const [low, high] = rangeOf(data);
    s.y = (v) => s.top + (1 - Math.min(Math.max((v - low) / (high - low), 0), 1)) * s.ph;
    trace(ctx, s, values.length, values, { strokeStyle: css(BLUE), lineWidth: 1.6 });
  }
  for (const { x, y, size } of places) {
    ctx.strokeStyle = INK;
    ctx.lineWidth = 1.4;
    ctx.strokeRect(x, y, size, size);
  }
}

/** Draw what the fit would lack without the selected unit. */
export function drawContribution(canvas, data, frame) {
  const [ctx, w, h] = context(canvas), values = frame.arrays.contribution;
  if (!values) return;
  const most = frame.unit.largest || 1;
  if (data.over.length === 2) {
    const n = Math.round(Math.sqrt(values.length));
    const coded = Uint8Array.from(values, (v) => 127.5 + (127.5 * v) / most);
    surface(ctx, coded, n, { left: 0, top: 0, pw: w, ph: h });
  } else {
    const s = { left: 0, top: 4, pw: w, ph: h - 8, y: (v) => h / 2 - (v / most) * (h / 2 - 4) };
    trace(ctx, s, values.length, values.map(() => 0), { strokeStyle: LINE, lineWidth: 1 });
    trace(ctx, s, values.length, values, { strokeStyle: css(ORANGE) });
  }
  ctx.strokeStyle = "#aab2bd";
  ctx.lineWidth = 1;
  ctx.strokeRect(0.5, 0.5, w - 1, h - 1);
}
