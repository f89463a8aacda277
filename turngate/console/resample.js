// Audio of any sample rate as 16-bit samples at a lower or higher one. No DOM.

/** Averages over the time of each new sample, which also takes most of what the new rate cannot hold. */
export class Resampler {
  /** @param {number} from Hz
   * @param {number} to Hz */
  constructor(from, to) {
    this._step = from / to;
    this._sum = 0;
    /** The part of a new sample that is not filled yet, in samples of the old rate. */
    this._room = this._step;
  }

  /** @param {Float32Array} samples between -1 and 1
   * @returns {Int16Array} */
  add(samples) {
    /** @type {number[]} */
    const made = [];
    for (const sample of samples) {
      let left = 1;
      while (left >= this._room) {
        this._sum += sample * this._room;
        left -= this._room;
        made.push(Math.round(32_767 * Math.max(-1, Math.min(1, this._sum / this._step))));
        [this._sum, this._room] = [0, this._step];
      }
      this._sum += sample * left;
      this._room -= left;
    }
    return Int16Array.from(made);
  }
}
