// Frames of the engine, as fastmlp/playgrounds/_frames.py describes them.
const VERSION = 1;
const ARRAYS = { float32: Float32Array, int8: Int8Array, uint8: Uint8Array, uint16: Uint16Array };

/** Return [document, arrays by name] of a frame in an ArrayBuffer. */
export function unpack(buffer) {
  const head = new DataView(buffer);
  if (head.getUint32(0) !== 0x464d5047 || head.getUint16(4, true) !== VERSION) {
    throw new Error("This page and the engine are of different versions: reload the page.");
  }
  const length = head.getUint32(8, true);
  const text = new TextDecoder().decode(new Uint8Array(buffer, 12, length));
  const found = JSON.parse(text);
  const arrays = {};
  for (const [name, dtype, shape, offset] of found.arrays) {
    const size = shape.reduce((a, b) => a * b, 1);
    arrays[name] = new ARRAYS[dtype](buffer, 12 + length + offset, size);
    arrays[name].shape = shape;
  }
  return [found, arrays];
}

/** Return what the figure draws as floats: the fit in its units, or probabilities. */
export function decoded(frame) {
  const coded = frame.arrays.fit;
  if (coded instanceof Float32Array) return coded;
  if (!frame.values) {
    const scale = (frame.high - frame.low) / 65535, values = new Float32Array(coded.length);
    for (let i = 0; i < values.length; i++) values[i] = frame.low + coded[i] * scale;
    frame.values = values;
  }
  return frame.values;
}

/** Return the fit as steps of the colours, 0 to 255. */
export function shades(frame) {
  const coded = frame.arrays.fit, found = new Uint8Array(coded.length);
  const scale = 255 / (frame.high - frame.low);
  for (let i = 0; i < found.length; i++) {
    found[i] = coded instanceof Uint16Array ? coded[i] >> 8 : (coded[i] - frame.low) * scale;
  }
  return found;
}
