/**
 * Sound that grows while it is heard: buffers scheduled one behind the other, sample by sample. No AudioWorklet, which
 * browsers deny to pages that come by plain http from another machine.
 */

const AHEAD_S = 5; // scheduled: timers of a tab in the background come once a second
const LEAD_S = 0.03; // between scheduling and sounding, so that the first samples are not late
const TICK_MS = 100;

export class Player extends EventTarget {
  #context = null;
  #rateHz = 24000;
  #pieces = []; // {at, samples}
  #total = 0; // samples that have come
  #whole = false;
  #spans = []; // what is scheduled: {timeS, from, to, source}
  #scheduled = 0; // samples, from the beginning
  #nextS = 0;
  #position = 0; // samples, while nothing plays
  #timer = 0;
  playing = false;

  /** A new sound. Call it while the user's press is handled: browsers let no other moment make noise. */
  open(rateHz) {
    this.pause();
    if (this.#context?.sampleRate !== rateHz) {
      this.#context?.close();
      this.#context = new AudioContext({ sampleRate: rateHz }); // the sound's own: samples go out as they came
    }
    this.#context.resume();
    this.#rateHz = rateHz;
    this.#pieces = [];
    this.#total = this.#position = 0;
    this.#whole = false;
    this.play();
  }

  get rateHz() {
    return this.#rateHz;
  }

  /** Seconds that have come. */
  get durationS() {
    return this.#total / this.#rateHz;
  }

  /** Whether that is all. */
  get whole() {
    return this.#whole;
  }

  get samples() {
    return this.#pieces.map(({ samples }) => samples);
  }

  /** What is heard now, in seconds from the beginning. */
  get positionS() {
    if (!this.playing) return this.#position / this.#rateHz;
    const nowS = this.#context.currentTime - (this.#context.outputLatency || 0);
    let at = this.#spans[0]?.from ?? this.#position;
    for (const span of this.#spans) {
      if (span.timeS > nowS) break;
      at = Math.min(span.to, span.from + (nowS - span.timeS) * this.#rateHz);
    }
    return at / this.#rateHz;
  }

  append(samples) {
    this.#pieces.push({ at: this.#total, samples });
    this.#total += samples.length;
    if (this.playing) this.#schedule();
  }

  /** Nothing more comes. */
  end() {
    this.#whole = true;
    if (this.playing) this.#tick();
  }

  play() {
    if (this.playing || !this.#context) return;
    this.#context.resume();
    if (this.#whole && this.#position >= this.#total) this.#position = 0;
    this.playing = true;
    this.#scheduled = Math.floor(this.#position);
    this.#nextS = 0;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#schedule();
    this.#tell();
  }

  pause() {
    if (!this.playing) return;
    this.#position = Math.round(this.positionS * this.#rateHz);
    this.#halt();
    this.#tell();
  }

  seek(seconds) {
    const playing = this.playing;
    if (playing) this.#halt();
    this.#position = Math.max(0, Math.min(this.#total, Math.round(seconds * this.#rateHz)));
    if (playing) this.play();
    else this.#tell();
  }

  #halt() {
    clearInterval(this.#timer);
    for (const { source } of this.#spans) source.stop();
    this.#spans = [];
    this.playing = false;
  }

  #tick() {
    this.#schedule();
    if (this.#whole && this.positionS * this.#rateHz >= this.#total) {
      this.#position = this.#total;
      this.#halt();
    }
    this.#tell();
  }

  #schedule() {
    const context = this.#context;
    const nowS = context.currentTime;
    while (this.#spans.length > 1 && this.#spans[1].timeS < nowS - 1) this.#spans.shift(); // heard long ago
    while (this.#scheduled < this.#total && this.#nextS < nowS + AHEAD_S) {
      const samples = this.#slice(this.#scheduled, this.#rateHz);
      const buffer = context.createBuffer(1, samples.length, this.#rateHz);
      buffer.copyToChannel(samples, 0);
      const source = context.createBufferSource();
      source.buffer = buffer;
      source.connect(context.destination);
      const timeS = this.#nextS > nowS ? this.#nextS : nowS + LEAD_S;
      source.start(timeS);
      this.#spans.push({ timeS, from: this.#scheduled, to: this.#scheduled + samples.length, source });
      this.#scheduled += samples.length;
      this.#nextS = timeS + samples.length / this.#rateHz;
    }
  }

  /** Up to `most` samples from there on, as they have come together. */
  #slice(from, most) {
    const to = Math.min(this.#total, from + most);
    const found = new Float32Array(to - from);
    for (const { at, samples } of this.#pieces) {
      const first = Math.max(from, at);
      const last = Math.min(to, at + samples.length);
      for (let i = first; i < last; i++) found[i - from] = samples[i - at] / 32768;
    }
    return found;
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}
