// One pair of colours that all kinds of colour vision tell apart; shapes and words say the same.
export const BLUE = [0, 90, 170], ORANGE = [213, 94, 0], WHITE = [250, 250, 250];
export const INK = "#1c2430", GREY = "#8a93a0", LINE = "#d7dce2";
export const css = (c) => `rgb(${c[0]},${c[1]},${c[2]})`;

// Orange over white to blue, paler than points, 256 steps, as little-endian RGBA.
export const DIVERGING = new Uint32Array(256);
for (let i = 0; i < 256; i++) {
  const t = Math.abs(i - 127.5) / 127.5, end = i < 127.5 ? ORANGE : BLUE;
  const mix = WHITE.map((w, k) => Math.round(w + (end[k] - w) * t * 0.7));
  DIVERGING[i] = (255 << 24) | (mix[2] << 16) | (mix[1] << 8) | mix[0];
}
