// The handshake of a browser, which can set no headers: node browser_handshake.mjs URL SUBPROTOCOL...
// Prints the subprotocol that the server chose, or the HTTP status with which it refused.
import WebSocket from "ws";

const [url, ...protocols] = process.argv.slice(2);
const socket = new WebSocket(url, protocols);
socket.on("unexpected-response", (_, response) => {
  console.log(JSON.stringify({ status: response.statusCode }));
  process.exit(0);
});
socket.on("message", (data) => {
  console.log(JSON.stringify({ protocol: socket.protocol, first: JSON.parse(data.toString()).type }));
  socket.close();
});
socket.on("close", () => process.exit(0));
