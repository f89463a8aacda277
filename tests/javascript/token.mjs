// What a web page and its server do with Deepgram's JavaScript SDK: node token.mjs HTTP_URL WS_URL KEY
//
// The server makes a short-lived token with its key; the page connects with the token alone. Prints the token's life, the
// models, the refusal of a token that asks for a token, and the first message.
import { DeepgramClient } from "@deepgram/sdk";

const [http, ws, apiKey] = process.argv.slice(2);
const print = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const environment = { base: http, production: ws, agent: ws, agentRest: http };

const server = new DeepgramClient({ apiKey, environment });
const { access_token: accessToken, expires_in: expiresIn } = await server.auth.v1.tokens.grant({ ttl_seconds: 45 });
print({ expiresIn });
print(await server.agent.v1.settings.think.models.list());

const page = new DeepgramClient({ accessToken, environment });
try {
  await page.auth.v1.tokens.grant();
} catch (error) {
  print({ refused: error.statusCode });
}
const agent = await page.agent.v1.createConnection({ reconnectAttempts: 0 });
agent.on("message", (message) => {
  print({ first: message.type });
  agent.close();
});
agent.on("error", (error) => print({ error: String(error?.message ?? error) }));
agent.on("close", () => process.exit(0));
agent.connect();
await agent.waitForOpen();
