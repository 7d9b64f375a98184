// Takes the pictures of docs/screenshots of a running `recount demo`:
//
//     npm ci && node screenshots.mjs http://127.0.0.1:8080/ ../../../../docs/screenshots

import { join } from "node:path";
import { chromium } from "playwright-core";

const [base = "http://127.0.0.1:8080/", folder = "."] = process.argv.slice(2);
const WIDE = { width: 1280, height: 860 };
const NARROW = { width: 360, height: 740 };

const ask = async (query) => {
  const response = await fetch(new URL("graphql", base), {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ query }),
  });
  const { data, errors, extensions } = await response.json();
  if (errors) throw new Error(errors[0].message);
  return { data, position: extensions.position };
};

const { data, position } = await ask(`{
  items(first: 12) { nodes { sleekplanId revisions(fields: ["title", "description"]) { at } } }
  last: events(last: 1) { nodes { occurredAt } }
}`);
const at = new Date(Date.parse(data.last.nodes[0].occurredAt) - 120 * 86_400_000).toISOString();
const past = `at=${at}&position=${position}`;
const item = (data.items.nodes.find(({ revisions }) => revisions.length > 1) ?? data.items.nodes[0]).sleekplanId;

const PICTURES = [
  ["board", WIDE, "light", `?${past}`],
  ["item", { ...WIDE, height: 1150 }, "light", `items/${item}`],
  ["rising", WIDE, "light", "ask/rising"],
  ["ranks", WIDE, "light", "ask/ranks"],
  ["changes", WIDE, "light", `changes?${past}&since=month`],
  ["live", WIDE, "dark", ""],
  ["projections", WIDE, "light", "projections"],
  ["narrow", NARROW, "light", `?${past}`],
  ["narrow-item", NARROW, "dark", `items/${item}`],
];

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: process.getuid() === 0 ? ["--no-sandbox"] : [] });
for (const [name, viewport, colorScheme, address] of PICTURES) {
  const page = await browser.newPage({ viewport, colorScheme, reducedMotion: "reduce" });
  await page.goto(new URL(address, base).href);
  await page.waitForSelector("body[data-ready] .board tbody tr", { state: "attached" });
  await page.waitForLoadState("networkidle");
  await page.screenshot({ path: join(folder, `${name}.png`) });
  await page.close();
}
await browser.close();
