// The microphone, and the loudspeaker.

/** Samples per second in both directions. */
export const RATE = 24_000;

/** Seconds that are kept ahead, so that a late frame is not heard. */
const AHEAD = 0.06;

/** Have `send` called with frames of 16-bit samples until the returned function is called. Throws an Error for people.
 * @param {(frame: ArrayBuffer) => void} send
 * @returns {Promise<() => void>} */
export async function openMicrophone(send) {
  if (!navigator.mediaDevices) throw new Error("A browser gives a page the microphone only on https:// or on this machine (localhost).");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true } });
  } catch (error) {
    throw new Error(`The microphone cannot be used: ${error instanceof Error ? error.message : error}.`);
  }
  const context = new AudioContext();
  const close = () => {
    for (const track of stream.getTracks()) track.stop();
    context.close();
  };
  try {
    await context.audioWorklet.addModule("capture.js");
  } catch {
    close();
    throw new Error("The microphone cannot be used: session-state does not answer.");
  }
  const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, processorOptions: { rate: RATE } });
  node.port.onmessage = ({ data }) => send(data);
  context.createMediaStreamSource(stream).connect(node);
  return () => {
    node.port.onmessage = null;
    close();
  };
}

/** Plays what the agent says. */
export class Loudspeaker {
  /** @param {() => void} onSilent called when everything that was given has been played */
  constructor(onSilent) {
    this._context = new AudioContext({ sampleRate: RATE });
    this._gain = this._context.createGain();
    this._gain.connect(this._context.destination);
    /** @type {Set<AudioBufferSourceNode>} */
    this._playing = new Set();
    this._next = 0;
    /** Seconds that were given since it was silent. */
    this._given = 0;
    this._onSilent = onSilent;
  }

  /** Whether something is played, or waits to be. */
  get busy() {
    return this._playing.size > 0;
  }

  /** @param {boolean} muted */
  set muted(muted) {
    this._gain.gain.value = muted ? 0 : 1;
  }

  /** Play this after what was given before.
   * @param {ArrayBuffer} pcm 16-bit samples */
  play(pcm) {
    const samples = Float32Array.from(new Int16Array(pcm), (sample) => sample / 32_768);
    if (samples.length === 0) return;
    const buffer = this._context.createBuffer(1, samples.length, RATE);
    buffer.copyToChannel(samples, 0);
    const source = this._context.createBufferSource();
    source.buffer = buffer;
    source.connect(this._gain);
    source.onended = () => {
      if (this._playing.delete(source) && this._playing.size === 0) this._onSilent();
    };
    if (this._playing.size === 0) this._given = 0;
    this._given += buffer.duration;
    this._next = Math.max(this._next, this._context.currentTime + AHEAD);
    source.start(this._next);
    this._next += buffer.duration;
    this._playing.add(source);
  }

  /** Be silent at once: the user has interrupted. Returns how much was heard, and how much was not, in milliseconds; null
   * if it was silent.
   * @returns {{ heard: number, left: number } | null} */
  stop() {
    if (!this.busy) return null;
    const left = Math.min(this._given, Math.max(0, this._next - this._context.currentTime));
    for (const source of this._playing) source.stop();
    this._playing.clear();
    this._next = 0;
    return { heard: Math.round(1_000 * (this._given - left)), left: Math.round(1_000 * left) };
  }

  close() {
    this.stop();
    this._context.close();
  }
}
