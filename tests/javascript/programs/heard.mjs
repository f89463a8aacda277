// The audio that a program has received, by connection.
export class Heard {
  #pieces = [[]];

  /** A Blob or an ArrayBuffer. Returns how many have come by this connection. */
  add(piece) {
    return this.#pieces.at(-1).push(piece);
  }

  /** What follows comes by another connection. */
  next() {
    this.#pieces.push([]);
  }

  /** The audio of each connection in hexadecimal. */
  async inHex() {
    const all = this.#pieces.map(async (pieces) => {
      const bytes = new Uint8Array(await new Blob(pieces).arrayBuffer());
      return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    });
    return Promise.all(all);
  }
}
