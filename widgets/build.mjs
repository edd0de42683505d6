// Bundles the panel: node widgets/build.mjs [OUTPUT FOLDER]. The same sources give the same bytes.

import { build } from "esbuild";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, "..", "dyntaskmas_nb", "ui", "static"));

// The modern builds of vis: half the size of what "vis-network" alone means, no polyfills, one copy of each.
const esnext = {
  name: "esnext",
  setup({ onResolve, resolve }) {
    onResolve({ filter: /^vis-(network|data|util)$/ }, ({ path, kind, importer, resolveDir }) =>
      resolve(`${path}/esnext`, { kind, importer, resolveDir }));
  },
};

/** What each bundled package asks to travel with it, in the order of their names. */
async function licences(inputs) {
  const found = inputs.map((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]).filter(Boolean);
  const texts = await Promise.all([...new Set(found)].sort().map(async (name) => {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const files = (await readdir(folder)).filter((file) => /^licen[cs]e/i.test(file)).sort();
    if (!files.length) throw new Error(`${name} has no licence file: the bundle may not be handed on`);
    const wordings = await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")));
    return [`${name} ${version}: ${license}`, ...wordings.map((text) => text.trim())].join("\n\n");
  }));
  return texts.join(`\n\n${"-".repeat(80)}\n\n`).replaceAll("\r", "") + "\n";
}

const { outputFiles, metafile } = await build({
  absWorkingDir: here,
  entryPoints: ["src/panel.js", "src/panel.css", "src/press.js", "src/press.css"],
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "eof", // notices stay in the file they speak of
  plugins: [esnext],
  metafile: true,
  write: false,
  logLevel: "warning",
}).catch(() => process.exit(1)); // esbuild has said why
const texts = await licences(Object.keys(metafile.inputs));
await mkdir(out, { recursive: true });
for (const { path, contents } of outputFiles) await writeFile(path, contents);
await writeFile(join(out, "LICENSES.txt"), texts);
