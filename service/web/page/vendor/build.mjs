// Builds ../assets from the packages that package-lock.json pins, and lists their licences:
//
//     cd service/web/page/vendor && npm ci && node build.mjs
import { build } from "esbuild";
import { readFile, rm, writeFile } from "node:fs/promises";

const PACKAGES = ["@sanity/diff-match-patch", "uplot"];

await rm("../assets", { recursive: true, force: true });
await build({
  bundle: true, minify: true, format: "esm", target: "es2022", charset: "utf8", legalComments: "none", logLevel: "warning",
  outdir: "../assets", entryNames: "[name]",
  entryPoints: { "diff-match-patch": "diff-match-patch.mjs", uplot: "uplot.mjs", "uplot-style": "uplot/dist/uPlot.min.css" },
});

const texts = [];
for (const name of PACKAGES) {
  const { version, license } = JSON.parse(await readFile(`node_modules/${name}/package.json`, "utf8"));
  const text = await readFile(`node_modules/${name}/LICENSE`, "utf8");
  texts.push(`${name} ${version} (${license})\n\n${text.replaceAll("\r", "").trim()}\n`);
}
await writeFile("../assets/LICENSES.txt", texts.join(`\n${"-".repeat(80)}\n\n`));
