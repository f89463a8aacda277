// Runs in the browser's audio thread: passes on the microphone's samples in frames of 20 ms at the rate that is sent.

import { Resampler } from "./resample.js";

const FRAMES_PER_SECOND = 50;

class Capture extends AudioWorkletProcessor {
  /** @param {{ processorOptions: { rate: number } }} options */
  constructor({ processorOptions: { rate } }) {
    super();
    this._resampler = new Resampler(sampleRate, rate);
    this._size = rate / FRAMES_PER_SECOND;
    /** @type {number[]} */
    this._waiting = [];
  }

  /** @param {Float32Array[][]} inputs */
  process([channels]) {
    if (channels.length > 0) {
      this._waiting.push(...this._resampler.add(channels[0]));
      while (this._waiting.length >= this._size) {
        const frame = Int16Array.from(this._waiting.splice(0, this._size));
        this.port.postMessage(frame.buffer, [frame.buffer]);
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
