/**
 * Converts the project to the format that a deployment sends, and compares what it holds with manifest/package.xml.
 * usage: node convert.cjs PROJECT; exits with 1 when a file is not understood or the manifest is not current.
 */
const { mkdtempSync, readFileSync, readdirSync, rmSync } = require("node:fs");
const { createRequire } = require("node:module");
const { tmpdir } = require("node:os");
const { join, relative, resolve } = require("node:path");

const project = resolve(process.argv[2]);
const { ComponentSet, MetadataConverter } = createRequire(join(project, "package.json"))(
  "@salesforce/source-deploy-retrieve"
);
const source = join(project, "force-app");

/** Files that a deployment leaves out on purpose: tests of components, notes. */
const LEFT_OUT = /__tests__|\.md$|\.forceignore$/;

function filesUnder(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((one) =>
    one.isDirectory() ? filesUnder(join(folder, one.name)) : [join(folder, one.name)]
  );
}

/** Full names in a package.xml; its form is ours, so a pattern is enough. */
function namesIn(xml) {
  const found = new Set();
  for (const [, block] of xml.matchAll(/<types>(.*?)<\/types>/gs)) {
    const type = block.match(/<name>(.*?)<\/name>/)[1];
    for (const [, member] of block.matchAll(/<members>(.*?)<\/members>/g)) {
      found.add(`${type} ${member}`);
    }
  }
  return found;
}

async function main() {
  const problems = [];
  const components = ComponentSet.fromSource(source);
  const known = new Set();
  for (const one of components.getSourceComponents()) {
    for (const path of [one.xml, ...one.walkContent(), ...one.getChildren().map((child) => child.xml)]) {
      known.add(path);
    }
  }
  for (const path of filesUnder(source)) {
    if (!known.has(path) && !LEFT_OUT.test(path)) {
      problems.push(`${relative(project, path)}: not part of any component`);
    }
  }
  const out = mkdtempSync(join(tmpdir(), "mdapi-"));
  try {
    await new MetadataConverter().convert(components, "metadata", {
      type: "directory",
      outputDirectory: out,
      genUniqueDir: false
    });
    const converted = namesIn(readFileSync(join(out, "package.xml"), "utf8"));
    const manifest = namesIn(readFileSync(join(project, "manifest/package.xml"), "utf8"));
    for (const name of converted) {
      if (!manifest.has(name)) {
        problems.push(`manifest/package.xml lacks ${name}`);
      }
    }
    for (const name of manifest) {
      if (!converted.has(name)) {
        problems.push(`manifest/package.xml names ${name}, which does not exist`);
      }
    }
    console.log([...problems, `${converted.size} components converted, ${problems.length} problems`].join("\n"));
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
  process.exitCode = problems.length ? 1 : 0;
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
