/**
 * Compiles every Lightning component with the platform's own bundle compiler.
 * usage: node lwc_compile.cjs PROJECT; exits with 1 when a bundle does not compile.
 */
const { existsSync, readdirSync, readFileSync, statSync } = require("node:fs");
const { createRequire } = require("node:module");
const { join, resolve } = require("node:path");

const project = resolve(process.argv[2]);
const { compile } = createRequire(join(project, "package.json"))("@lwc/sfdc-lwc-compiler");
const folder = join(project, "force-app/main/default/lwc");

function filesOf(bundle) {
  const files = {};
  for (const name of readdirSync(join(folder, bundle))) {
    const path = join(folder, bundle, name);
    if (statSync(path).isFile() && !name.endsWith("-meta.xml")) {
      files[name] = readFileSync(path, "utf8");
    }
  }
  return files;
}

async function main() {
  let bad = 0;
  const bundles = existsSync(folder) ? readdirSync(folder).filter((one) => statSync(join(folder, one)).isDirectory()) : [];
  for (const name of bundles) {
    const answer = await compile({
      bundle: {
        type: "platform",
        namespace: "c",
        name,
        namespaceMapping: { c: "c" },
        files: filesOf(name),
        apiVersion: "65.0"
      },
      outputConfigs: [{ minify: false }]
    });
    const problems = [...(answer.diagnostics ?? []), ...(answer.results ?? []).flatMap((one) => one.diagnostics ?? [])].filter((one) => one.level <= 1);
    const failed = !answer.success;
    for (const one of problems) {
      console.log(`${name}/${one.filename ?? ""}:${one.location?.line ?? 0}: ${one.message}`);
    }
    bad += failed || problems.length > 0 ? 1 : 0;
  }
  console.log(`${bundles.length} components, ${bad} with problems`);
  process.exitCode = bad ? 1 : 0;
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
