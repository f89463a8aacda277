// A TCP relay before a server on this machine, whose connections a test can cut.
import net from "node:net";

/** Listens on a free `port` of loopback and connects each client to the server's port. */
export async function relay(serverPort) {
  const connections = [];
  const listener = net.createServer((client) => {
    const server = net.connect(serverPort, "127.0.0.1");
    const passed = [];
    connections.push({ client, server, passed });
    server.on("data", (bytes) => passed.push(bytes));
    client.pipe(server).pipe(client);
    client.on("error", () => server.destroy());
    server.on("error", () => client.destroy());
  });
  await new Promise((listening) => listener.listen(0, "127.0.0.1", listening));

  const cuts = {
    /** Both sides are reset; what is under way is lost. */
    reset: () => {
      for (const { client, server } of connections) {
        client.resetAndDestroy();
        server.resetAndDestroy();
      }
    },
    /** The server sees the end of the client's data; all that it has sent until then is passed on, and then the end. */
    end: () => {
      for (const { client, server } of connections) {
        client.unpipe(server);
        // What nobody reads makes the end of the connection a reset.
        client.resume();
        server.end();
      }
    },
  };
  return {
    port: listener.address().port,
    cuts,
    /** The binary messages that were passed to clients, by connection, in hexadecimal. */
    passed: () => connections.map(({ passed }) => Buffer.concat([...binaries(Buffer.concat(passed))]).toString("hex")),
  };
}

/** The payloads of the binary messages in what a server has sent: after the handshake, frames that are whole messages,
 * neither masked nor compressed (RFC 6455, 5.2). */
function* binaries(sent) {
  let at = sent.indexOf("\r\n\r\n") + 4;
  while (at + 2 <= sent.length) {
    const opcode = sent[at] & 0x0f;
    let size = sent[at + 1];
    at += 2;
    if (size === 126) {
      size = sent.readUInt16BE(at);
      at += 2;
    } else if (size === 127) {
      size = Number(sent.readBigUInt64BE(at));
      at += 8;
    }
    if (opcode === 2) {
      yield sent.subarray(at, at + size);
    }
    at += size;
  }
}
