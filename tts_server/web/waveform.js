/** A sound drawn as bars: loudness over time, growing as it comes, with the part that was heard in colour. */

const STEP_S = 0.02; // a bar is never shorter than that
const BAR_PX = 3;
const GAP_PX = 2;
const LOUDNESS = 0.6; // as loud as it sounds: ears hear powers, not differences

export class Waveform {
  #canvas;
  #peaks = [];
  #rateHz = 24000;
  #count = 0; // samples in the last peak, which still grows
  #positionS = 0;
  #expectedS = 0;

  constructor(canvas) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.draw(this.#positionS)).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw(this.#positionS));
  }

  /** A new sound; about so long, as far as can be known. */
  open(rateHz, expectedS) {
    this.#peaks = [];
    this.#count = 0;
    this.#rateHz = rateHz;
    this.#expectedS = expectedS;
    this.draw(0);
  }

  append(samples) {
    const step = Math.round(STEP_S * this.#rateHz);
    for (let i = 0; i < samples.length; i++) {
      if (this.#count === 0) this.#peaks.push(0);
      const loud = Math.abs(samples[i]) / 32768;
      if (loud > this.#peaks[this.#peaks.length - 1]) this.#peaks[this.#peaks.length - 1] = loud;
      this.#count = (this.#count + 1) % step;
    }
  }

  /** Nothing more comes: what there is takes the whole width. */
  end() {
    this.#expectedS = 0;
  }

  /** How many seconds the whole width stands for. */
  get spanS() {
    return Math.max(this.#peaks.length * STEP_S, this.#expectedS);
  }

  /** How much of the width has bars, from 0 to 1. */
  get filled() {
    return this.spanS ? (this.#peaks.length * STEP_S) / this.spanS : 0;
  }

  draw(positionS) {
    this.#positionS = positionS;
    const canvas = this.#canvas;
    const scale = devicePixelRatio;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const brush = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    brush.setTransform(scale, 0, 0, scale, 0, 0);
    brush.clearRect(0, 0, width, height);
    const bars = Math.floor(width / (BAR_PX + GAP_PX));
    const perBar = Math.max(1, this.spanS / STEP_S / bars);
    const colours = { heard: style.getPropertyValue("--accent"), coming: style.getPropertyValue("--wave"), empty: style.getPropertyValue("--line") };
    for (let bar = 0; bar < bars; bar++) {
      const [from, to] = [Math.floor(bar * perBar), Math.max(Math.floor(bar * perBar) + 1, Math.floor((bar + 1) * perBar))];
      const there = from < this.#peaks.length;
      const tall = Math.max(BAR_PX, there ? mean(this.#peaks, from, to) ** LOUDNESS * height : 0);
      brush.fillStyle = !there ? colours.empty : from * STEP_S < positionS ? colours.heard : colours.coming;
      brush.beginPath();
      brush.roundRect(bar * (BAR_PX + GAP_PX), (height - tall) / 2, BAR_PX, tall, BAR_PX / 2);
      brush.fill();
    }
  }
}

function mean(values, from, to) {
  const last = Math.min(to, values.length);
  let sum = 0;
  for (let i = from; i < last; i++) sum += values[i];
  return sum / (last - from);
}
