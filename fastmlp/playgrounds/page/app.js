// The page of the playground: what one sees and does. It holds no numbers of its own; every control
// is a message to the engine, which answers with settings, rows and frames.
import { Component, createRef, h, render } from "./vendor/preact.mjs";
import htm from "./vendor/htm.mjs";
import uPlot from "./vendor/uPlot.mjs";
import { BLUE, css, GREY, INK, ORANGE } from "./colours.js";
import { unpack } from "./frames.js";
import { axis, drawContribution, drawFit, drawNetwork, rangeOf, scales } from "./draw.js";
import { gif, png, save, svgText } from "./exports.js";

const html = htm.bind(h);
const REMEMBERED = 300;
const SETS = {
  curve: "The lecture's curve", classes: "The lecture's classes", circle: "Circle", xor: "XOR",
  moons: "Moons", spiral: "Spiral",
};
const SPEEDS = [[1, "1 epoch/s"], [10, "10 epochs/s"], [60, "60 epochs/s"], [200, "200 epochs/s"],
  [1000, "1000 epochs/s"], [0, "as fast as possible"]];
const ACTIVATIONS = ["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "softplus", "linear"];
const OPTIMIZERS = ["adam", "adamw", "sgd", "rmsprop", "adagrad"];
const STARTS = { glorot: "Glorot", he: "He", uniform: "Uniform", normal: "Normal, 0.05" };
const KINDS = { none: "none", l1: "L1, exact zeros", l1s: "L1, subgradient", l2: "L2", group: "Groups" };

// A slider of a lambda: 0, then 1e-6 to 1 in equal steps of the logarithm.
const lambdaOf = (place) => (place ? Number((10 ** (-6 + (place - 1) / 10)).toPrecision(3)) : 0);
const placeOf = (lambda) => (lambda > 0 ? Math.round((Math.log10(lambda) + 6) * 10) + 1 : 0);
const shown = (v, n = 3) => (v === null || v === undefined ? "–" : v === 0 ? "0" : Math.abs(v) < 1e-3 || Math.abs(v) >= 1e5 ? v.toExponential(n - 2) : Number(v.toPrecision(n)).toString());
const kindOf = (s) => {
  if (s.group.some(Boolean)) return "group";
  if (s.l1.some(Boolean)) return s.proximal ? "l1" : "l1s";
  return s.l2.some(Boolean) ? "l2" : "none";
};

function Slider({ label, value, min, max, step, text, onInput, id }) {
  return html`<label class="slider"><span>${label}<output>${text ?? value}</output></span>
    <input type="range" id=${id} min=${min} max=${max} step=${step ?? 1} value=${value}
      aria-valuetext=${String(text ?? value)} onInput=${(e) => onInput(Number(e.target.value))} /></label>`;
}

function Choice({ label, value, options, onChange, id }) {
  const pairs = Array.isArray(options) ? options.map((o) => (Array.isArray(o) ? o : [o, o])) : Object.entries(options);
  return html`<label class="choice"><span>${label}</span><select id=${id} value=${String(value)}
    onChange=${(e) => onChange(e.target.value)}>${pairs.map(([v, t]) => html`<option value=${String(v)}>${t}</option>`)}</select></label>`;
}

class App extends Component {
  constructor(props) {
    super(props);
    props.hold.current = this;
    this.state = {
      sides: {}, side: "a", compared: false, lesson: "", lessons: [], playing: false, speed: 60,
      error: "", ended: "", selected: null, value: 1, kind: null, copy: null, progress: null,
      members: null, path: null, answer: false, held: true, first: [], cursor: null, output: 0,
    };
    this.remembered = { a: [], b: [] };
    this.curves = { a: [], b: [] };
    this.network = createRef();
    this.contribution = createRef();
    this.fits = { a: createRef(), b: createRef() };
    this.chart = createRef();
    this.pathChart = createRef();
    this.dialog = createRef();
    this.pending = false;
    this.seen = 0;
    this.counted = [];
    this.answered = [];
  }

  send(message) {
    this.props.send(message);
  }

  // ---- from the engine ----

  receive(buffer) {
    const [head, arrays] = unpack(buffer);
    const handler = this[`on_${head.kind}`];
    if (handler) handler.call(this, head, arrays);
  }

  on_hello(head) {
    this.setState({ lessons: head.lessons, lesson: head.lesson, speed: head.speed, playing: head.playing, compared: head.compared });
  }

  on_data(head, arrays) {
    const { side, settings } = head;
    this.change(side, { data: { ...head, arrays }, settings, points: head.points });
    this.setState({ kind: null, ...(side === "a" ? { members: null, path: null } : {}) });
    this.remembered[side] = [];
    this.later();
  }

  on_settings(head) {
    this.answered.push(performance.now() - this.asked);
    this.change(head.side, { settings: head.settings, points: head.points });
  }

  change(side, values) {
    this.setState((state) => ({ sides: { ...state.sides, [side]: { ...state.sides[side], ...values } } }));
  }

  on_frame(head, arrays) {
    const { side } = head, frame = { ...head, arrays, shown: this.state.output };
    const curve = this.curves[side];
    curve.length = head.curve_from;
    curve.push(...head.curve);
    const ring = this.remembered[side];
    while (ring.length && ring[ring.length - 1].steps >= frame.steps) ring.pop();
    ring.push({ steps: frame.steps, epoch: frame.epoch, low: frame.low, high: frame.high, shown: frame.shown, arrays: { fit: arrays.fit } });
    if (ring.length > REMEMBERED) ring.shift();
    this.change(side, { frame });
    this.setState({ playing: head.playing });
    this.seen += 1;
    this.counted.push(performance.now());
    this.later();
  }

  on_error(head) {
    this.setState({ error: head.text });
  }

  on_compared(head) {
    this.setState((state) => ({
      compared: head.on, side: "a", selected: null, first: [],
      sides: head.on ? state.sides : { a: state.sides.a },
    }), () => this.view());
    this.curves = { a: [], b: [] };
  }

  on_lesson(head) {
    this.setState({ lesson: head.name, speed: head.speed, answer: false, selected: null, first: [], error: "" });
  }

  on_file(head, arrays) {
    save(head.name, arrays.content);
  }

  on_copy(head) {
    this.setState({ copy: head }, () => this.dialog.current.showModal());
  }

  on_progress(head) {
    this.setState({ progress: head.done < head.total ? head : null });
  }

  on_members(head, arrays) {
    this.setState({ members: { ...arrays, n: head.n, epoch: head.epoch } });
    this.later();
  }

  on_path(head) {
    this.setState({ path: head }, () => this.drawPath());
  }

  // ---- drawing ----

  /** Draw at the browser's next frame; then tell the engine that its frames were seen. */
  later() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.draw();
      for (; this.seen; this.seen--) this.send({ do: "seen" });
    });
  }

  draw() {
    const { sides, side, selected, members, held, cursor, compared } = this.state;
    for (const name of compared ? ["a", "b"] : ["a"]) {
      const own = sides[name], canvas = this.fits[name].current;
      if (own?.data && own.frame && canvas) {
        drawFit(canvas, own.data, own.frame, { held, members: name === "a" ? members : null, cursor: name === side ? cursor : null });
      }
    }
    const own = sides[side];
    if (own?.data && own.frame?.arrays.b0 && this.network.current) {
      const layers = own.frame.layers.length;
      const chosen = selected && selected[0] < layers - 1 ? selected : null;
      this.places = drawNetwork(this.network.current, own.data, own.frame, chosen);
      if (this.contribution.current) drawContribution(this.contribution.current, own.data, own.frame);
    }
    // The chart is the slowest to draw, and changes least.
    const now = performance.now();
    if (now - (this.charted || 0) > 180 || !this.state.playing) {
      this.charted = now;
      this.drawCurve();
    }
  }

  /** The losses over the epochs; B is dashed. */
  drawCurve() {
    const box = this.chart.current, { compared } = this.state;
    if (!box) return;
    const wide = box.clientWidth;
    if (!this.plot || this.plotted !== compared || Math.abs(this.plot.width - wide) > 2) {
      this.plot?.destroy();
      const line = (label, stroke, dash, width = 1.6) => ({ label, stroke, dash, width, points: { show: false } });
      const series = [{}];
      for (const name of compared ? ["A ", "B "] : [""]) {
        const d = name === "B " ? [6, 4] : undefined;
        series.push(line(`${name}loss`, css(BLUE), d), line(`${name}held out`, css(ORANGE), d), line(`${name}penalty`, GREY, d, 1.2));
      }
      this.plot = new uPlot({
        width: wide, height: 170, legend: { show: false }, cursor: { show: false },
        scales: { x: { time: false }, y: { distr: 3 } },
        axes: [
          { stroke: INK, font: "11px system-ui", size: 26, grid: { stroke: "#e8ebef" }, ticks: { size: 4 } },
          { stroke: INK, font: "11px system-ui", size: 48, grid: { stroke: "#e8ebef" }, ticks: { size: 4 }, values: (u, v) => v.map((x) => (x === null ? null : shown(x, 2))) },
        ],
        series,
      }, [[], ...series.slice(1).map(() => [])], box);
      this.plotted = compared;
    }
    const positive = (v) => (v > 0 ? v : null);
    const a = this.curves.a, columns = [a.map((p) => p[1]), ...[2, 3, 4].map((i) => a.map((p) => positive(p[i])))];
    if (!compared) this.plot.setData(columns);
    else {
      const b = this.curves.b;
      const two = [b.map((p) => p[1]), ...[2, 3, 4].map((i) => b.map((p) => positive(p[i])))];
      if (a.length && b.length) this.plot.setData(uPlot.join([columns, two]));
    }
  }

  drawPath() {
    const box = this.pathChart.current, { path } = this.state;
    if (!box || !path) return;
    this.pathPlot?.destroy();
    const line = (label, stroke, scale) => ({ label, stroke, scale, width: 1.8, points: { show: true, size: 5 } });
    const ax = { stroke: INK, font: "11px system-ui", grid: { stroke: "#e8ebef" } };
    this.pathPlot = new uPlot({
      width: box.clientWidth, height: 190, cursor: { show: false }, legend: { show: false },
      scales: { x: { time: false, distr: 3 }, y: { distr: 3 }, share: { range: [0, 1.02] } },
      axes: [
        { ...ax, size: 30, values: (u, v) => v.map((x) => (x === null ? null : x.toExponential(0))) },
        { ...ax, size: 48, values: (u, v) => v.map((x) => (x === null ? null : shown(x, 2))) },
        { ...ax, side: 1, scale: "share", size: 44, grid: { show: false }, values: (u, v) => v.map((x) => `${Math.round(x * 100)}%`) },
      ],
      series: [{}, line("loss", css(BLUE), "y"), line("held out", css(ORANGE), "y"), line("nonzero", GREY, "share")],
    }, [path.lambdas, path.loss, path.held, path.nonzero], box);
  }

  componentDidMount() {
    this.resize = new ResizeObserver(() => this.later());
    this.resize.observe(this.network.current ?? document.body);
    if (this.fits.a.current) this.resize.observe(this.fits.a.current);
  }

  componentDidUpdate() {
    this.later();
  }

  // ---- to the engine ----

  set(values) {
    const { side, sides } = this.state;
    this.change(side, { settings: { ...sides[side].settings, ...values } });
    this.asked = performance.now();
    this.send({ do: "set", side, values });
  }

  start(settings) {
    this.send({ do: "start", side: this.state.side, settings });
  }

  view(changes = {}) {
    this.setState(changes, () => {
      const { first, selected, side, sides, output } = this.state;
      const held = sides[side]?.heldAt || {};
      this.send({ do: "view", side, view: { first, selected, held, output } });
      // The network of the other side is not visible, and need not be computed.
      const other = side === "a" ? "b" : "a";
      if (this.state.compared) {
        const own = sides[other]?.heldAt || {};
        this.send({ do: "view", side: other, view: { held: own, output, network: false } });
      }
    });
  }

  choose(selected) {
    this.view({ selected });
  }

  setPenalty(kind, values) {
    const n = this.state.sides[this.state.side].settings.l1.length, zero = Array(n).fill(0);
    const own = { l1: zero, l2: zero, group: zero };
    if (kind === "l1" || kind === "l1s") Object.assign(own, { l1: values, proximal: kind === "l1" });
    else if (kind !== "none") own[kind] = values;
    this.setState({ kind });
    this.set(own);
  }

  clickNetwork(event) {
    const box = this.network.current.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    const { frame } = this.state.sides[this.state.side];
    if (!this.places || !frame.arrays.b0) return;
    for (let c = 1; c < this.places.length - 1; c++) {
      const unit = this.places[c].findIndex((p) => x >= p.x - 2 && x <= p.x + p.size + 2 && y >= p.y - 2 && y <= p.y + p.size + 2);
      if (unit >= 0) {
        this.choose([c - 1, unit + frame.layers[c - 1].first]);
        return;
      }
    }
    this.choose(null);
  }

  keyNetwork(event) {
    const { selected, side, sides } = this.state, { units } = sides[side].settings;
    const moves = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
    if (event.key === "Escape") this.choose(null);
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    let [layer, unit] = selected || [0, 0];
    if (selected) {
      layer = Math.min(Math.max(layer + move[0], 0), units.length - 1);
      unit = Math.min(Math.max(unit + move[1], 0), units[layer] - 1);
    }
    const first = [...this.state.first];
    if (Math.floor(unit / 64) !== Math.floor((first[layer] || 0) / 64)) {
      for (let i = 0; i <= layer; i++) first[i] = first[i] || 0;
      first[layer] = unit - (unit % 64);
    }
    this.view({ selected: [layer, unit], first });
  }

  addPoint(at) {
    const { data } = this.state.sides.a, two = data.over.length === 2;
    if (data.task === "classification") this.send({ do: "point", at: two ? at : at.slice(0, 1), value: this.state.value });
    else this.send({ do: "point", at: at.slice(0, 1), value: at[1] });
  }

  clickFit(event, name) {
    const { data } = this.state.sides[name];
    if (this.isTable(name)) return;
    const canvas = this.fits[name].current, box = canvas.getBoundingClientRect();
    const s = scales(data, canvas.clientWidth, canvas.clientHeight, rangeOf(data));
    const at = [s.fromX(event.clientX - box.left), s.fromY(event.clientY - box.top)];
    if (at[0] < s.a.low || at[0] > s.a.high || at[1] < s.b.low || at[1] > s.b.high) return;
    this.setState({ cursor: null });
    this.addPoint(at);
  }

  keyFit(event, name) {
    const { data } = this.state.sides[name];
    if (this.isTable(name)) return;
    const range = rangeOf(data), a = axis(data, 0), b = data.over.length === 2 ? axis(data, 1) : { low: range[0], high: range[1] };
    let [x, y] = this.state.cursor || [(a.low + a.high) / 2, (b.low + b.high) / 2];
    const dx = (a.high - a.low) / 40, dy = (b.high - b.low) / 40;
    const moves = { ArrowUp: [0, dy], ArrowDown: [0, -dy], ArrowLeft: [-dx, 0], ArrowRight: [dx, 0] };
    if (event.key === "Enter" && this.state.cursor) this.addPoint([x, y]);
    else if (moves[event.key]) {
      [x, y] = [x + moves[event.key][0], y + moves[event.key][1]];
      this.setState({ cursor: [Math.min(Math.max(x, a.low), a.high), Math.min(Math.max(y, b.low), b.high)] });
    } else return;
    event.preventDefault();
  }

  isTable(name) {
    return this.state.sides[name]?.settings.data === "table";
  }

  shortcut(event) {
    if (/INPUT|SELECT|TEXTAREA|BUTTON|SUMMARY/.test(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " ") {
      event.preventDefault();
      this.send({ do: this.state.playing ? "pause" : "play" });
    } else if (event.key === "s") this.send({ do: "step", epochs: 1 });
    else if (event.key === "r") this.send({ do: "reset" });
  }

  // ---- parts of the page ----

  bar(own) {
    const { playing, speed, compared, sides, progress } = this.state;
    const frame = sides.a?.frame, frames = frame?.frames ?? 1;
    const busy = progress !== null;
    const step = (n) => html`<button onClick=${() => this.send({ do: "step", epochs: n })} disabled=${busy} aria-label=${`Step ${n} epoch${n > 1 ? "s" : ""}`}>+${n}</button>`;
    return html`<div class="bar" role="toolbar" aria-label="Training">
      <button class="main" id="play" disabled=${busy} onClick=${() => this.send({ do: playing ? "pause" : "play" })}>${playing ? "❚❚ Pause" : "▶ Play"}</button>
      <span class="join" title="Epochs to step">${[1, 10, 100].map(step)}</span>
      <button id="reset" disabled=${busy} onClick=${() => this.send({ do: "reset" })} title="The same seed, from the start">↺ Reset</button>
      <label class="choice inline"><span class="hide">Speed</span><select id="speed" aria-label="Speed" value=${String(speed)}
        onChange=${(e) => { this.setState({ speed: Number(e.target.value) }); this.send({ do: "speed", speed: Number(e.target.value) }); }}>
        ${(SPEEDS.some(([v]) => v === speed) ? SPEEDS : [...SPEEDS, [speed, `${speed} epochs/s`]]).map(([v, t]) => html`<option value=${String(v)}>${t}</option>`)}</select></label>
      <label class="rewind"><span>Rewind</span><input id="rewind" type="range" min="0" max=${Math.max(frames - 1, 1)} value=${frame?.place ?? 0}
        disabled=${busy || frames < 2} aria-valuetext=${`epoch ${Math.floor(frame?.epoch ?? 0)}`}
        onInput=${(e) => this.send({ do: "rewind", place: Number(e.target.value) })} /></label>
      <span class="epoch" id="epoch"><b>${Math.floor(frame?.epoch ?? 0).toLocaleString("en")}</b> epochs</span>
      <button id="compare" aria-pressed=${compared} disabled=${busy} onClick=${() => this.send({ do: "compare", on: !compared, keep: this.state.side })} title="Two settings from one seed, side by side">A | B</button>
      <button id="members" disabled=${busy || !own?.frame?.steps} onClick=${() => (this.state.members ? this.setState({ members: null }) : this.send({ do: "members" }))} aria-pressed=${!!this.state.members}>20 members</button>
      <button id="path" disabled=${busy || !own?.frame?.steps} onClick=${() => this.send({ do: "path", penalty: { l2: "l2", group: "group" }[this.state.kind ?? (own ? kindOf(own.settings) : "none")] ?? "l1" })}>Path</button>
    </div>
    ${progress && html`<div class="progress" role="status"><progress max=${progress.total} value=${progress.done}></progress>
      ${progress.done} of ${progress.total} networks <button onClick=${() => this.send({ do: "cancel" })}>Cancel</button></div>`}`;
  }

  lessonPart() {
    const { lessons, lesson, answer } = this.state, at = lessons.findIndex((l) => l.name === lesson);
    const go = (name) => this.send({ do: "lesson", name });
    const now = lessons[at];
    return html`<section class="lesson" aria-label="Lessons">
      <div class="row"><label class="choice inline"><span class="hide">Lesson</span><select id="lesson" aria-label="Lesson" value=${lesson}
        onChange=${(e) => (e.target.value ? go(e.target.value) : this.setState({ lesson: "" }))}>
        <option value="">No lesson</option>${lessons.map((l, i) => html`<option value=${l.name}>${i + 1}. ${l.title}</option>`)}</select></label>
        <button disabled=${at <= 0} onClick=${() => go(lessons[at - 1].name)} aria-label="Previous lesson">‹</button>
        <button id="next" disabled=${at >= lessons.length - 1} onClick=${() => go(lessons[at + 1].name)} aria-label="Next lesson">›</button></div>
      ${now && html`<p class="question">${now.question}</p>
        ${answer ? html`<p class="answer" role="status">${now.answer}</p>` : html`<button class="quiet" onClick=${() => this.setState({ answer: true })}>Show the answer</button>`}`}
    </section>`;
  }

  dataPart(own) {
    const { settings: s, data } = own, table = s.data === "table";
    const options = { ...(data.has_table ? { table: "Your table" } : {}), ...SETS };
    const numbers = data.columns.filter((c) => !c.categories.length);
    const others = data.columns.filter((c) => !data.over.includes(c.name));
    const hold = (name, value) => {
      const heldAt = { ...own.heldAt, [name]: value };
      this.change(this.state.side, { heldAt });
      this.setState({}, () => this.view());
    };
    return html`<fieldset><legend>Data</legend>
      <${Choice} id="data" label="Rows" value=${s.data} options=${options} onChange=${(v) => this.start({ data: v })} />
      ${table && html`<${Choice} label="Target" value=${data.target} options=${data.targets} onChange=${(v) => this.start({ target: v, inputs: [], drop: data.dropped.filter((c) => c !== v) })} />
        <details><summary>Inputs</summary>${data.targets.filter((c) => c !== data.target).map((c) => html`<label class="radio check"><input type="checkbox" checked=${!data.dropped.includes(c)}
          onChange=${(e) => this.start({ inputs: data.over.filter((v) => v !== c), drop: e.target.checked ? data.dropped.filter((v) => v !== c) : [...data.dropped, c] })} />${c}</label>`)}</details>
        ${[0, 1].map((i) => html`<${Choice} label=${i ? "Up" : "Across"} value=${data.over[i] ?? ""} options=${[...(i ? [["", "target"]] : []), ...numbers.map((c) => c.name)]}
          onChange=${(v) => { const over = [...data.over]; over[i] = v; this.start({ inputs: over.filter(Boolean) }); }} />`)}`}
      ${!table && html`<${Slider} id="rows" label="Number of rows" min=20 max=1000 step=10 value=${s.rows} onInput=${(v) => this.start({ rows: v })} />`}
      ${!table && s.data !== "classes" && html`<${Slider} id="noise" label="Noise" min=0 max=0.5 step=0.05 value=${s.noise} onInput=${(v) => this.start({ noise: v })} />`}
      <${Slider} id="split" label="Held out" min=0 max=0.8 step=0.05 value=${s.held_out}
        text=${s.held_out || table ? `${Math.round(s.held_out * 100)}%` : "other rows"} onInput=${(v) => this.start({ held_out: v })} />
      ${table && others.length > 0 && html`<details><summary>${others.length} other columns, held</summary>
        ${others.map((c) => c.categories.length
          ? html`<${Choice} label=${c.name} value=${own.heldAt?.[c.name] ?? c.value} options=${c.categories.map((t, i) => [i, t])} onChange=${(v) => hold(c.name, Number(v))} />`
          : html`<${Slider} label=${c.name} min=${c.low} max=${c.high} step=${(c.high - c.low) / 100} value=${own.heldAt?.[c.name] ?? c.value} text=${shown(own.heldAt?.[c.name] ?? c.value)} onInput=${(v) => hold(c.name, v)} />`)}</details>`}
      ${data.classes.length > 2 && html`<${Choice} label="Probability of" value=${this.state.output} options=${data.classes.map((t, i) => [i, t])} onChange=${(v) => this.view({ output: Number(v) })} />`}
      ${!table && data.task === "classification" && html`<div class="row" role="radiogroup" aria-label="Class of added points"><span>A click adds</span>
        ${[1, 0].map((v) => html`<label class="radio"><input type="radio" name="value" checked=${this.state.value === v} onChange=${() => this.setState({ value: v })} /><i class=${`mark m${v}`}></i>${data.classes[v]}</label>`)}</div>`}
      ${data.note && html`<p class="note">${data.note}</p>`}
    </fieldset>`;
  }

  settingsPart(own) {
    const { settings: s } = own, kind = this.state.kind ?? kindOf(s);
    const field = { l1: "l1", l1s: "l1", l2: "l2", group: "group" }[kind], values = field ? s[field] : [];
    const same = values.every((v) => v === values[0]);
    const rate = Math.round((Math.log10(Math.max(s.rate, 1e-5)) + 5) * 10);
    return html`<fieldset><legend>Penalty</legend>
      <${Choice} id="penalty" label="Kind" value=${kind} options=${KINDS} onChange=${(k) => this.setPenalty(k, values.length ? values : s.l1.map(() => 0.001))} />
      ${field && html`<${Slider} id="lambda" label="λ of every layer" min=0 max=61 value=${placeOf(values[0])} text=${same ? shown(values[0]) : "by layer"}
        onInput=${(p) => this.setPenalty(kind, values.map(() => lambdaOf(p)))} />
        <details><summary>Each layer</summary>${values.map((v, i) => html`<${Slider} label=${i === values.length - 1 ? "Output" : `Layer ${i + 1}`} min=0 max=61 value=${placeOf(v)} text=${shown(v)}
          onInput=${(p) => this.setPenalty(kind, values.map((w, k) => (k === i ? lambdaOf(p) : w)))} />`)}</details>`}
      ${kind === "group" && html`<${Choice} label="A group is" value=${s.groups} options=${{ units: "what enters a unit", inputs: "what leaves an input" }} onChange=${(v) => this.set({ groups: v })} />`}
    </fieldset>
    <fieldset><legend>Training</legend>
      <${Slider} id="dropout" label="Dropout" min=0 max=0.8 step=0.05 value=${s.dropout} onInput=${(v) => this.set({ dropout: v })} />
      <${Choice} id="activation" label="Activation" value=${s.activation} options=${ACTIVATIONS} onChange=${(v) => this.set({ activation: v })} />
      <${Choice} id="optimizer" label="Optimizer" value=${s.optimizer} options=${OPTIMIZERS} onChange=${(v) => this.set({ optimizer: v })} />
      <${Slider} id="rate" label="Learning rate" min=0 max=50 value=${rate} text=${shown(s.rate)} onInput=${(v) => this.set({ rate: Number((10 ** (v / 10 - 5)).toPrecision(3)) })} />
      <${Choice} label="Batch" value=${s.batch} options=${[[0, "all rows"], ...[8, 16, 32, 64, 128, 256].map((v) => [v, `${v} rows`])]} onChange=${(v) => this.start({ batch: Number(v) })} />
      <${Choice} label="Initial weights" value=${s.start} options=${STARTS} onChange=${(v) => this.start({ start: v })} />
      <div class="row"><label class="seed"><span>Seed</span><input id="seed" type="number" min="0" max="999999" value=${s.seed} onChange=${(e) => this.start({ seed: Math.max(0, Math.floor(Number(e.target.value)) || 0) })} /></label>
        <button onClick=${() => this.start({ seed: s.seed + 1 })}>Next seed</button></div>
    </fieldset>`;
  }

  layersPart(own) {
    const { settings: s, frame } = own, { side, first } = this.state;
    const send = (what) => this.send({ side, ...what });
    const page = (i, by) => {
      const next = [...first];
      for (let k = 0; k <= i; k++) next[k] = next[k] || 0;
      next[i] = Math.min(Math.max(next[i] + by, 0), s.units[i] - 1);
      this.view({ first: next });
    };
    return html`<div class="layers" style=${{ gridTemplateColumns: `repeat(${s.units.length + 2}, minmax(0, 1fr))` }}>
      <div class="head"><b>Input</b></div>
      ${s.units.map((n, i) => html`<div class="head"><b>${n}${s.units.length < 5 ? ` unit${n > 1 ? "s" : ""}` : ""}</b>
        <span class="tools"><button onClick=${() => send({ do: "remove_unit", layer: i, ...(this.state.selected?.[0] === i ? { unit: Math.min(this.state.selected[1], n - 1) } : {}) })} disabled=${n < 2} aria-label=${`Remove a unit of layer ${i + 1}`}>−</button>
        <button onClick=${() => send({ do: "add_units", layer: i, count: 1 })} aria-label=${`Add a unit to layer ${i + 1}`}>+</button>
        <button onClick=${() => send({ do: "remove_layer", layer: i })} disabled=${s.units.length < 2} aria-label=${`Remove layer ${i + 1}`}>×</button></span>
        ${n > 64 && html`<span class="tools"><button aria-label="Earlier units" disabled=${!(frame?.layers[i]?.first)} onClick=${() => page(i, -64)}>‹</button>
          <small>${(frame?.layers[i]?.first ?? 0) + 1}–${Math.min((frame?.layers[i]?.first ?? 0) + 64, n)}</small>
          <button aria-label="Later units" disabled=${(frame?.layers[i]?.first ?? 0) + 64 >= n} onClick=${() => page(i, 64)}>›</button></span>`}</div>`)}
      <div class="head"><b>Output</b></div></div>`;
  }

  unitPart(own) {
    const { frame, data, settings } = own, unit = frame?.unit;
    if (!unit || !this.state.selected) {
      return html`<p class="hint">Click a unit, or move with the arrow keys, to see what it does. An edge is as wide as its weight, <span class="blue">blue</span> above zero and <span class="orange">orange</span> below; a weight of exactly zero has none. A grey crossed unit is dead: the same for every row.</p>`;
    }
    const bars = (values, names) => {
      const most = Math.max(...values.map(Math.abs), 1e-12);
      return html`<span class="bars" role="img" aria-label=${names}>${values.map((v) => html`<i style=${{ height: `${(Math.abs(v) / most) * 26 + (v ? 1 : 0)}px`, background: v > 0 ? css(BLUE) : css(ORANGE) }}></i>`)}</span>`;
    };
    const { layer } = unit, n = layer ? settings.units[layer - 1] : data.n_inputs;
    const following = settings.units[layer + 1] ?? frame.layers[layer + 1].units;
    return html`<div class="unit" aria-live="polite"><div><b>Layer ${layer + 1}, unit ${unit.unit + 1}</b>
      ${unit.turn !== null && html`<p>Turns at ${data.over[0]} = ${shown(unit.turn)}</p>`}
      <p>Bias ${shown(unit.bias)}</p>
      <p>${n} incoming weight${n > 1 ? "s" : ""}${unit.zeros_in ? `, ${unit.zeros_in} exactly 0` : ""}${n === 1 ? `: ${shown(unit.incoming[0])}` : ""}</p>${n > 1 && bars(unit.incoming, "Incoming weights")}
      <p>${following} outgoing weight${following > 1 ? "s" : ""}${unit.zeros_out ? `, ${unit.zeros_out} exactly 0` : ""}${following === 1 ? `: ${shown(unit.outgoing[0])}` : ""}</p>${following > 1 && bars(unit.outgoing, "Outgoing weights")}</div>
      <div><canvas ref=${this.contribution} class="contribution" role="img" aria-label="Contribution of the unit to the fit"></canvas>
      <p>Contribution: the fit minus the fit without it, up to ${shown(unit.largest)}</p>
      <button class="quiet" onClick=${() => { this.send({ do: "remove_unit", side: this.state.side, layer, unit: unit.unit }); this.choose(null); }}>Remove this unit</button></div></div>`;
  }

  middle(own) {
    const { side, compared } = this.state, { settings: s } = own;
    return html`<section class="network" aria-label="Network">
      ${compared && html`<div class="tabs" role="tablist" aria-label="Settings">${["a", "b"].map((n) => html`<button role="tab" id=${`tab-${n}`} aria-selected=${side === n} onClick=${() => this.view({ side: n, selected: null, kind: null, first: [] })}>Settings ${n.toUpperCase()}</button>`)}</div>`}
      ${this.layersPart(own)}
      <canvas ref=${this.network} id="network" class="net" tabindex="0" role="application" aria-label="The units of the network. Arrow keys move between them."
        onClick=${(e) => this.clickNetwork(e)} onKeyDown=${(e) => this.keyNetwork(e)}></canvas>
      <div class="row under"><button id="add-layer" onClick=${() => this.send({ do: "add_layer", side, after: s.units.length - 1 })} disabled=${s.units.length > 7}>Add layer</button>
        ${s.units.length > 0 && html`<button onClick=${() => s.units.forEach((n, i) => this.send({ do: "add_units", side, layer: i, count: Math.min(n, 1024) }))}>Twice the units</button>`}
        ${own.data.n_inputs === 1 && html`<button id="repair" onClick=${() => this.send({ do: "repair", side })} title="Weights of first-layer units that turn between 0.5 and 1 shrink to a tenth">Repair</button>`}
      </div>
      ${this.unitPart(own)}</section>`;
  }

  counts(name) {
    const own = this.state.sides[name];
    if (!own?.frame) return null;
    const { frame } = own, [, , loss, held, penalty] = frame.last;
    const hidden = frame.layers.slice(0, -1);
    const total = (key) => frame.layers.reduce((a, l) => a + l[key], 0);
    const live = hidden.reduce((a, l) => a + l.live, 0), units = hidden.reduce((a, l) => a + l.units, 0);
    return html`<dl class="counts" id=${`counts-${name}`}>
      <div><dt><i class="key blue"></i>Loss</dt><dd>${shown(loss)}</dd></div>
      <div><dt><i class="key orange"></i>Held out</dt><dd>${shown(held)}</dd></div>
      <div><dt><i class="key grey"></i>Penalty</dt><dd>${shown(penalty)}</dd></div>
      <div><dt>Live units</dt><dd>${live.toLocaleString("en")}<small> of ${units.toLocaleString("en")}</small></dd></div>
      <div><dt>Nonzero weights</dt><dd>${total("nonzero").toLocaleString("en")}<small> of ${total("weights").toLocaleString("en")}</small></dd></div></dl>`;
  }

  right(own) {
    const { compared, sides, members, path, side } = this.state, { data, frame } = own;
    const fit = (name) => {
      const d = sides[name]?.data;
      if (!d) return null;
      return html`<div class="fitbox">${compared && html`<b>${name.toUpperCase()}</b>`}
        <canvas ref=${this.fits[name]} id=${`fit-${name}`} class="fit" tabindex="0" role="application"
          aria-label=${`The fit${compared ? ` of ${name.toUpperCase()}` : ""}. ${this.isTable(name) ? "" : "Arrow keys move a cross, Enter adds a point there."}`}
          onClick=${(e) => this.clickFit(e, name)} onKeyDown=${(e) => this.keyFit(e, name)}></canvas>${this.counts(name)}</div>`;
    };
    const two = data.over.length === 2;
    return html`<section class="result" aria-label="Fit and losses"><div class=${compared ? "fits two" : "fits"}>${fit("a")}${compared && fit("b")}</div>
      <p class="legend">${two && data.task === "classification" && html`<span><i class="line solid"></i>fit 50%</span>`}
        ${data.arrays.truth && html`<span><i class="line dash"></i>truth</span>`}
        ${two ? html`<span><i class="mark m1"></i>${data.task === "classification" ? data.classes[data.classes.length > 2 ? this.state.output : 1] : "high"}</span><span><i class="mark m0"></i>${data.task === "classification" ? (data.classes.length > 2 ? "others" : data.classes[0]) : "low"}</span>` : html`<span><i class="line blue"></i>fit</span>`}
        ${data.rows[1] > 0 && html`<label class="radio"><input type="checkbox" checked=${this.state.held} onChange=${(e) => this.setState({ held: e.target.checked })} />rows held out</label>`}</p>
      ${members && html`<p class="note" role="status">${members.curves ? "Twenty networks from twenty seeds, and their mean." : `Where twenty networks from twenty seeds disagree: blue, up to ${shown(Math.max(...members.spread))} (standard deviation). The line is their mean's.`} <button class="quiet" onClick=${() => this.setState({ members: null })}>Hide</button></p>`}
      <div ref=${this.chart} class="chart" role="img" aria-label="Loss, held-out loss and penalty over epochs, logarithmic"></div>
      <p class="legend"><span><i class="line blue"></i>loss</span><span><i class="line orange"></i>held out</span><span><i class="line grey"></i>penalty</span>${compared && html`<span><i class="line dash"></i>B</span>`}</p>
      ${path && html`<h2>Path of ${path.penalty === "group" ? "group penalties" : path.penalty.toUpperCase()}, ${Math.floor(path.epoch)} epochs each</h2><div ref=${this.pathChart} class="chart" role="img" aria-label="Losses and share of nonzero weights by lambda"></div>
        <p class="legend"><span><i class="line blue"></i>loss</span><span><i class="line orange"></i>held out</span><span><i class="line grey"></i>weights that are not zero (right)</span></p>
        <p class="row wrap">Take λ: ${path.lambdas.map((v) => html`<button class="small" onClick=${() => this.setPenalty(path.penalty, own.settings.l1.map(() => Number(v.toPrecision(3))))}>${v.toExponential(0)}</button>`)}<button class="quiet" onClick=${() => this.setState({ path: null })}>Hide</button></p>`}
      <div class="row wrap" role="group" aria-label="Copy and save"><span>Copy as</span>${["command", "toml", "python"].map((f) => html`<button class="small" id=${`copy-${f}`} onClick=${() => this.send({ do: "copy", side, form: f })}>${{ command: "Command", toml: "TOML", python: "Python" }[f]}</button>`)}
        <span>Save</span><button class="small" onClick=${() => this.send({ do: "file", side, kind: "model" })}>Model</button>
        ${!this.isTable(side) && html`<button class="small" onClick=${() => this.send({ do: "file", side, kind: "rows" })}>Rows as CSV</button>`}
        <button class="small" onClick=${() => this.send({ do: "file", side, kind: "recording" })}>Recording</button>
        <button class="small" id="png" onClick=${() => png(data, frame, { held: this.state.held })}>PNG</button>
        <button class="small" id="svg" onClick=${() => save("fit.svg", svgText(data, frame), "image/svg+xml")}>SVG</button>
        <button class="small" id="gif" disabled=${this.remembered[side].length < 2} onClick=${() => gif(data, this.remembered[side], { held: this.state.held })}>GIF</button></div>
    </section>`;
  }

  render() {
    const { sides, side, error, ended, copy } = this.state, own = sides[side];
    const ready = own?.data && own?.settings && own?.frame;
    return html`<div class="page" onKeyDown=${(e) => this.shortcut(e)}>
      <header><h1>fastmlp playground</h1>${this.bar(own)}</header>
      ${(ended || error) && html`<p class="error" role="alert">${ended || error}${!ended && html` <button class="quiet" onClick=${() => this.setState({ error: "" })}>Dismiss</button>`}</p>`}
      ${!ready ? html`<p class="hint">Opening …</p>` : html`<main>
        <div class="left">${this.lessonPart()}<div class="settings">${this.dataPart(own)}${this.settingsPart(own)}</div></div>
        ${this.middle(own)}${this.right(own)}</main>`}
      <dialog ref=${this.dialog} aria-label="Copy"><textarea readonly rows="14" value=${copy?.text ?? ""}></textarea>
        <div class="row"><button onClick=${() => navigator.clipboard?.writeText(copy.text)}>Copy to clipboard</button><button onClick=${() => this.dialog.current.close()}>Close</button></div></dialog></div>`;
  }
}

/** Show the page in an element; `send` gives a message to the engine. */
export function mount(root, send) {
  root.textContent = "";
  const app = { current: null };
  render(html`<${App} hold=${app} send=${send} />`, root);
  // For tests: how long the engine took to answer each control, and frames a second of the last
  // two seconds.
  root.answers = () => app.current.answered;
  root.framesPerSecond = () => {
    const now = performance.now(), { current } = app;
    current.counted = current.counted.filter((t) => now - t < 2000);
    return current.counted.length / 2;
  };
  return {
    receive: (buffer) => app.current.receive(buffer),
    closed: (text) => app.current.setState({ ended: text, playing: false }),
    unmount: () => render(null, root),
  };
}
