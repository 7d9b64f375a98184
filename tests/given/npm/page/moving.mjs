// Walks through the page of a running `recount demo` and keeps what Chromium draws, for the moving picture of the README:
// frames NNNN.png, and frames.json with when each was drawn, in milliseconds. docs/site/moving.py makes one file of them.
//
//     node moving.mjs http://127.0.0.1:8080/ FOLDER

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [base = "http://127.0.0.1:8080/", folder = "."] = process.argv.slice(2);
const SIZE = { width: 1200, height: 760 };

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: process.getuid() === 0 ? ["--no-sandbox"] : [] });
const page = await browser.newPage({ viewport: SIZE, colorScheme: "light" });
await page.goto(base);
await page.waitForSelector("body[data-ready] .board tbody tr", { state: "attached" });
await page.waitForLoadState("networkidle");

const frames = [];
const session = await page.context().newCDPSession(page);
session.on("Page.screencastFrame", ({ data, metadata, sessionId }) => {
  frames.push({ at: Math.round(metadata.timestamp * 1000), data });
  session.send("Page.screencastFrameAck", { sessionId }).catch(() => {});
});
await session.send("Page.startScreencast", { format: "png", maxWidth: SIZE.width, maxHeight: SIZE.height });

const pause = (seconds) => page.waitForTimeout(seconds * 1000);
const drawn = async (selector) => {
  await page.waitForSelector(selector);
  await page.waitForLoadState("networkidle");
};
const bar = await page.locator(".track").boundingBox();
const hand = (share) => page.mouse.move(bar.x + bar.width * share, bar.y + bar.height / 2);
await pause(0.8);
// Dragged back by a year, and forth again a little.
await hand(0.98);
await page.mouse.down();
for (let i = 0; i <= 40; i++) await hand(0.98 - 0.6 * (i / 40)), await pause(0.06);
await pause(0.6);
for (let i = 0; i <= 20; i++) await hand(0.38 + 0.2 * (i / 20)), await pause(0.06);
await page.mouse.up();
await pause(1.2);
// An item, then what rises and how ranks changed.
await page.locator(".board a.title").nth(1).click();
await drawn("#item .curve");
await pause(2);
await page.getByRole("tab", { name: "Ask" }).click();
await drawn(".report table");
await pause(1.8);
await page.locator(".questions button", { hasText: "Ranks" }).click();
await drawn(".report .plot canvas");
await pause(0.5); // what is drawn last stays for a while: moving.py's LAST_MS

await session.send("Page.stopScreencast");
await Promise.all(
  frames.map(({ data }, i) => writeFile(join(folder, `${String(i).padStart(4, "0")}.png`), Buffer.from(data, "base64"))),
);
await writeFile(join(folder, "frames.json"), JSON.stringify(frames.map(({ at }) => at - frames[0].at)));
await browser.close();
