// The peer @octokit/webhooks: verifies, parses, and calls a handler that does nothing.
import { createServer } from "node:http";
import { Webhooks, createNodeMiddleware } from "@octokit/webhooks";

const [port, secret] = process.argv.slice(2);
const hooks = new Webhooks({ secret });
hooks.on("issues", () => {});
createServer(createNodeMiddleware(hooks, { path: "/webhook" })).listen(Number(port), "127.0.0.1");
