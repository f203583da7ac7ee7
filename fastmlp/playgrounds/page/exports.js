// Figures for slides: PNG, SVG, and a GIF of the frames that the page remembers.
import { BLUE, css, ORANGE } from "./colours.js";
import { axis, drawFitOn, isBlue, levelPaths, rangeOf, scales } from "./draw.js";
import { decoded } from "./frames.js";

/** Offer bytes or text as a file to save. */
export function save(name, content, type = "application/octet-stream") {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function canvasOf(w, h, ratio = 1) {
  const canvas = document.createElement("canvas");
  canvas.width = w * ratio;
  canvas.height = h * ratio;
  const ctx = canvas.getContext("2d", { willReadFrequently: true });
  ctx.scale(ratio, ratio);
  return [canvas, ctx];
}

export function png(data, frame, extra) {
  const [canvas, ctx] = canvasOf(480, 440, 3);
  drawFitOn(ctx, 480, 440, data, frame, extra);
  canvas.toBlob((blob) => save("fit.png", blob, "image/png"));
}

const escaped = (text) =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

/** Return the figure as SVG: bands of the surface, or the curve, with truth and rows. */
export function svgText(data, frame) {
  const w = 480, h = 440, s = scales(data, w, h, rangeOf(data));
  const values = decoded(frame), parts = [];
  const path = (points, style) =>
    parts.push(`<path d="M${points.map((p) => p.map((v) => v.toFixed(1)).join(" ")).join("L")}" ${style}/>`);
  const curve = (v, style) =>
    path(Array.from(v, (y, i) => [s.left + (i / (v.length - 1)) * s.pw, s.y(y)]), style);
  if (data.over.length === 2) {
    const n = Math.round(Math.sqrt(values.length)), bands = 12;
    for (let k = 0; k < bands; k++) {
      const at = k ? frame.low + (k / bands) * (frame.high - frame.low) : -Infinity;
      const t = (k + 0.5) / bands, end = t < 0.5 ? ORANGE : BLUE, much = Math.abs(t - 0.5) * 1.7;
      const colour = css([0, 1, 2].map((i) => Math.round(250 + (end[i] - 250) * much)));
      if (at === -Infinity) {
        parts.push(`<rect x="${s.left}" y="${s.top}" width="${s.pw}" height="${s.ph}" fill="${colour}"/>`);
        continue;
      }
      const shape = globalThis.d3.contours().size([n, n]).contour(values, at);
      const clamp = (v, most) => Math.min(Math.max(v, 0), most);
      const d = shape.coordinates.flat().map((ring) => `M${ring.map(([x, y]) =>
        `${(s.left + (clamp(x - 0.5, n - 1) / (n - 1)) * s.pw).toFixed(1)} ${(s.top + (1 - clamp(y - 0.5, n - 1) / (n - 1)) * s.ph).toFixed(1)}`).join("L")}Z`).join("");
      if (d) parts.push(`<path d="${d}" fill="${colour}" fill-rule="evenodd"/>`);
    }
    if (data.task === "classification") {
      const line = 'fill="none" stroke="#1c2430" stroke-width="1.6"';
      for (const p of levelPaths(values, n, 0.5, s)) path(p, line);
      for (const p of data.arrays.truth ? levelPaths(data.arrays.truth, n, 0.5, s) : []) {
        path(p, `${line} stroke-dasharray="5 4"`);
      }
    }
  } else {
    if (data.arrays.truth) {
      curve(data.arrays.truth, 'fill="none" stroke="#8a93a0" stroke-width="2" stroke-dasharray="6 4"');
    }
    curve(values, `fill="none" stroke="${css(BLUE)}" stroke-width="2.4"`);
  }
  const p = data.arrays.points, k = data.over.length + 1;
  for (let i = 0; i < p.length; i += k) {
    const x = s.x(p[i]).toFixed(1), y = s.y(p[i + 1]).toFixed(1);
    const blue = k === 2 || isBlue(data, frame, p[i + 2]);
    const colour = k === 2 ? "#1c2430" : css(blue ? BLUE : ORANGE);
    parts.push(blue ? `<circle cx="${x}" cy="${y}" r="3.2" fill="${colour}" stroke="#fff"/>`
      : `<rect x="${x - 3}" y="${y - 3}" width="6" height="6" fill="${colour}" stroke="#fff"/>`);
  }
  const a = axis(data, 0), text = 'font-family="sans-serif" font-size="12" fill="#1c2430"';
  const name = data.over.length === 2 ? data.over[1] : data.target;
  parts.push(`<rect x="${s.left}" y="${s.top}" width="${s.pw}" height="${s.ph}" fill="none" stroke="#1c2430"/>`);
  parts.push(`<text x="${s.left + s.pw / 2}" y="${h - 6}" text-anchor="middle" ${text}>${escaped(a.name)}</text>`);
  parts.push(`<text transform="translate(12 ${s.top + s.ph / 2}) rotate(-90)" text-anchor="middle" ${text}>${escaped(name)}</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${w} ${h}" width="${w}" height="${h}"><defs><clipPath id="c"><rect x="${s.left}" y="${s.top}" width="${s.pw}" height="${s.ph}"/></clipPath></defs><rect width="${w}" height="${h}" fill="#fff"/><g clip-path="url(#c)">${parts.slice(0, -3).join("")}</g>${parts.slice(-3).join("")}</svg>`;
}

// ---- GIF ----------------------------------------------------------------------------------------

/** Compress bytes below 256 as GIF's variable-length codes (LZW). */
function compressed(pixels) {
  const out = [];
  let block = [], bits = 0, held = 0, size = 9, next = 258, table = new Map();
  const byte = (b) => {
    block.push(b);
    if (block.length === 255) flush();
  };
  const flush = () => {
    if (block.length) out.push(block.length, ...block);
    block = [];
  };
  const put = (code) => {
    held |= code << bits;
    bits += size;
    while (bits >= 8) {
      byte(held & 255);
      held >>>= 8;
      bits -= 8;
    }
  };
  put(256);
  let code = pixels[0];
  for (let i = 1; i < pixels.length; i++) {
    const key = (code << 8) | pixels[i], known = table.get(key);
    if (known !== undefined) {
      code = known;
      continue;
    }
    put(code);
    if (next === 4096) {
      put(256);
      table = new Map();
      next = 258;
      size = 9;
    } else {
      if (next === 1 << size) size++;
      table.set(key, next++);
    }
    code = pixels[i];
  }
  put(code);
  put(257);
  if (bits) byte(held & 255);
  flush();
  return out;
}

/** Return a GIF of RGBA images, on a cube of 6 x 7 x 6 colours, at `delay` hundredths of a second. */
export function gifBytes(w, h, images, delay) {
  const two = (v) => [v & 255, v >> 8];
  const chunks = [[...new TextEncoder().encode("GIF89a"), ...two(w), ...two(h), 0xf7, 0, 0]];
  const palette = new Uint8Array(768);
  for (let i = 0; i < 252; i++) {
    palette[3 * i] = Math.floor(i / 42) * 51;
    palette[3 * i + 1] = (Math.floor(i / 6) % 7) * 42.5;
    palette[3 * i + 2] = (i % 6) * 51;
  }
  chunks.push(palette);
  chunks.push([0x21, 0xff, 11, ...new TextEncoder().encode("NETSCAPE2.0"), 3, 1, 0, 0, 0]);
  for (const rgba of images) {
    const pixels = new Uint8Array(w * h);
    for (let i = 0; i < pixels.length; i++) {
      const r = Math.round(rgba[4 * i] / 51), g = Math.round(rgba[4 * i + 1] / 42.5);
      pixels[i] = r * 42 + g * 6 + Math.round(rgba[4 * i + 2] / 51);
    }
    chunks.push([0x21, 0xf9, 4, 4, ...two(delay), 0, 0, 0x2c, 0, 0, 0, 0, ...two(w), ...two(h), 0, 8]);
    chunks.push(compressed(pixels), [0]);
  }
  chunks.push([0x3b]);
  return new Blob(chunks.map((c) => (c instanceof Uint8Array ? c : Uint8Array.from(c))), { type: "image/gif" });
}

/** Save at most a hundred of the remembered frames as a GIF. */
export async function gif(data, remembered, extra) {
  const w = 360, h = 340, [, ctx] = canvasOf(w, h);
  const step = Math.max(1, Math.ceil(remembered.length / 100)), images = [];
  for (let i = (remembered.length - 1) % step; i < remembered.length; i += step) {
    drawFitOn(ctx, w, h, data, remembered[i], extra);
    ctx.fillStyle = "#1c2430";
    ctx.font = "12px sans-serif";
    ctx.textAlign = "right";
    ctx.fillText(`epoch ${Math.floor(remembered[i].epoch)}`, w - 14, 20);
    images.push(ctx.getImageData(0, 0, w, h).data);
    if (i % 10 === 0) await new Promise((done) => setTimeout(done));
  }
  save("training.gif", gifBytes(w, h, images, 8), "image/gif");
}
