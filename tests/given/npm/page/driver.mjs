// Drives one Chromium for a run of tests: each line of input is something to do, each line of output what it gave.
//
// `{"id": 1, "tab": {…}}` opens a tab with an empty profile in place of the one before; its members are options of
// playwright's `newContext`. `{"id": 2, "script": "await page.goto(url); return await page.title()", "values": {"url": "…"}}`
// runs a script in it. Both answer `{"id": …, "value": …}` or `{"id": …, "error": "…"}`. A script sees `page`, its `values`,
// `problems` (what the page complained of since it was last asked), `idle()`, `axe(…)` and `axeInDark(…)`. The browser reaches this
// machine alone, and what it asks of any other is a problem: told by its own events, for a script that all requests waited for
// would take most of the time.

import { createInterface } from "node:readline";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const OF_COLOURS = ["color-contrast", "link-in-text-block"];
const HERE = ["127.0.0.1", "localhost"];
const FLAGS = [
  "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
  `--host-resolver-rules=${["MAP * ~NOTFOUND", ...HERE.map((host) => `EXCLUDE ${host}`)].join(", ")}`,
];
const { executablePath } = JSON.parse(process.argv[2]);

const browser = await chromium.launch({ executablePath, args: [...FLAGS, ...(process.getuid() === 0 ? ["--no-sandbox"] : [])] });
let context, page, problems, asked;

async function open(options) {
  await context?.close();
  context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  page = await context.newPage();
  page.setDefaultTimeout(50_000); // below what the tests wait for an answer
  const told = (problems = []);
  page.on("console", (line) => ["error", "warning"].includes(line.type()) && told.push(line.text()));
  page.on("pageerror", (error) => told.push(error.stack));
  page.on("dialog", (dialog) => (told.push(`dialog: ${dialog.message()}`), dialog.dismiss()));
  const waiting = (asked = new Set());
  for (const ended of ["requestfinished", "requestfailed"]) context.on(ended, (request) => waiting.delete(request));
  context.on("request", (request) => {
    waiting.add(request);
    const { hostname } = new URL(request.url());
    if (hostname && !HERE.includes(hostname)) told.push(`asked for ${request.url()}`);
  });
}

/**
 * Wait until all that the page asked for has come and is drawn. A load state of playwright's would not do: once a page has
 * reached one, it stays so, whatever the page asks for later.
 */
async function idle() {
  do await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn))));
  while (asked.size);
}

/**
 * What axe-core finds to be serious or worse, in the whole page or in the parts that these selectors name: what it has
 * looked at before takes as long again. The page's own policy lets no script in, so it comes past the page.
 */
const axe = (...parts) => serious(parts);

/** The same of what is dark, but what depends on colours alone: they are all that the page has another of there. */
async function axeInDark(...parts) {
  await page.emulateMedia({ colorScheme: "dark" });
  const found = await serious(parts, { runOnly: { type: "rule", values: OF_COLOURS } });
  await page.emulateMedia({ colorScheme: "light" });
  return found.map((each) => `dark: ${each}`);
}

async function serious(parts, options = {}) {
  if (!(await page.evaluate(() => "axe" in globalThis))) {
    const session = await context.newCDPSession(page);
    await session.send("Runtime.evaluate", { expression: await readFile(AXE, "utf8") });
    await session.detach();
  }
  const { violations } = await page.evaluate(
    ([include, options]) => globalThis.axe.run(
      include.length ? { include } : document, { resultTypes: ["violations"], ...options }),
    [parts, options]);
  return violations
    .filter(({ impact }) => ["serious", "critical"].includes(impact))
    .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html.slice(0, 160)} (${failureSummary})`).join("; ")}`);
}

const AsyncFunction = (async () => {}).constructor;
const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  const { id, tab, script, values = {} } = JSON.parse(line);
  try {
    if (tab) await open(tab);
    const run = new AsyncFunction("page", "problems", "idle", "axe", "axeInDark", ...Object.keys(values), script ?? "");
    say({ id, value: (await run(page, problems, idle, axe, axeInDark, ...Object.values(values))) ?? null });
  } catch (error) {
    say({ id, error: `${error.stack}\n${problems?.join("\n")}` });
  }
}
await browser.close();
