// Builds ../assets from the packages that package-lock.json pins, and lists their licences:
//
//     cd service/web/graphiql/vendor && npm ci && node build.mjs
//
// The page must work offline, so nothing is left to a CDN, and must stay small, so what GraphiQL never shows is
// left out: the diff editor and such of Monaco, and the JavaScript parser that formats the JSON of variables
// (jsonc-parser, which GraphiQL has anyway, does that here).
import { build } from "esbuild";
import { readFile, rm, writeFile } from "node:fs/promises";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

const unused = [
  "browser/widget/diffEditor", "contrib/codelens", "contrib/colorPicker", "contrib/diffEditorBreadcrumbs",
  "contrib/dropOrPasteInto", "contrib/inlayHints", "contrib/inlineCompletions", "contrib/inlineEdit",
  "contrib/inlineEdits", "contrib/inlineProgress", "contrib/rename", "contrib/sectionHeaders",
  "contrib/stickyScroll", "contrib/suggest/browser/suggestInlineCompletions",
];

const smaller = {
  name: "smaller",
  setup(build) {
    build.onLoad({ filter: /vs\/editor\/editor\.all\.js$/ }, async ({ path }) => {
      const lines = (await readFile(path, "utf8")).split("\n");
      const kept = lines.filter((line) => !unused.some((name) => line.includes(`'./${name}`)));
      if (kept.length === lines.length) throw new Error(`${path} no longer reads as expected`);
      return { contents: kept.join("\n"), resolveDir: dirname(path) };
    });
    build.onLoad({ filter: /@graphiql\/react\/dist\/utility\/jsonc\.js$/ }, async ({ path }) => {
      const text = await readFile(path, "utf8");
      const [start, end] = [text.indexOf("async function formatJSONC"), text.indexOf("\n}\n") + 3];
      if (start < 0 || !text.slice(start, end).includes("prettier")) throw new Error(`${path} no longer reads as expected`);
      const ours = `import { applyEdits, format } from "jsonc-parser";
        async function formatJSONC(text) {
          return applyEdits(text, format(text, undefined, { tabSize: 2, insertSpaces: true }));
        }\n`;
      return { contents: text.slice(0, start) + ours + text.slice(end), resolveDir: dirname(path) };
    });
    // Two spellings of one file; both would be bundled.
    build.onResolve({ filter: /^prettier\/parser-graphql$/ }, ({ resolveDir }) =>
      build.resolve("prettier/plugins/graphql", { resolveDir, kind: "dynamic-import" }));
    // style.css holds the styles that the scripts import piece by piece.
    build.onLoad({ filter: /\.css$/ }, async ({ path }) => {
      if (!path.endsWith("graphiql/dist/style.css")) return { contents: "", loader: "js" };
      // Its fonts are inside as text; as files they are a quarter smaller, and come when they are needed.
      let number = 0;
      const text = (await readFile(path, "utf8")).replace(
        /data:font\/(woff2|woff|ttf);base64,([A-Za-z0-9+/=]+)/g,
        (_, kind, encoded) => {
          const name = `font-${++number}.${kind}`;
          writeFileSync(`../assets/${name}`, Buffer.from(encoded, "base64"));
          return `./${name}`;
        });
      return { contents: text, loader: "css" };
    });
  },
};

const common = {
  bundle: true, minify: true, format: "esm", target: "es2022", charset: "utf8", legalComments: "none",
  outdir: "../assets", plugins: [smaller], metafile: true, logLevel: "warning",
  external: ["./font-*"], chunkNames: "[name]-[hash]", entryNames: "[name]",
};

await rm("../assets", { recursive: true, force: true });
mkdirSync("../assets");
const page = await build({ ...common, splitting: true, entryPoints: { graphiql: "entry.mjs" } });
const workers = await build({
  ...common,
  entryPoints: {
    "editor.worker": "monaco-editor/esm/vs/editor/editor.worker.js",
    "json.worker": "monaco-editor/esm/vs/language/json/json.worker.js",
    "graphql.worker": "monaco-graphql/esm/graphql.worker.js",
  },
});
const styles = await build({ ...common, entryPoints: { style: "graphiql/style.css" } });

const inputs = [page, workers, styles].flatMap((built) => Object.keys(built.metafile.inputs));
const folders = new Set(inputs.map((file) => file.match(/.*node_modules\/(@[^/]+\/)?[^/]+/)?.[0]).filter(Boolean));
const texts = [];
for (const folder of [...folders].sort()) {
  const { name, version, license } = JSON.parse(await readFile(`${folder}/package.json`, "utf8"));
  let text = "";
  for (const file of ["LICENSE", "LICENSE.md", "LICENSE.txt", "license", "LICENCE", "License.txt", "license.md", "LICENSE-MIT.txt"]) {
    text ||= await readFile(`${folder}/${file}`, "utf8").catch(() => "");
  }
  texts.push(`${name} ${version} (${license})\n\n${text.replaceAll("\r", "").trim()}\n`);
}
await writeFile("../assets/LICENSES.txt", texts.join(`\n${"-".repeat(80)}\n\n`));
