/**
 * Writes manifest/package.xml and destructive/*.xml from the components in force-app, or with --check says whether
 * they are current. They must be written again whenever a component comes or goes.
 */
const { readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { ComponentSet } = require("@salesforce/source-deploy-retrieve");
const prettier = require("prettier");

const ROOT = join(__dirname, "..");
const HEAD =
  '<?xml version="1.0" encoding="UTF-8" ?><Package xmlns="http://soap.sforce.com/2006/04/metadata">';

// The rename is taken back in Setup; the settings of an External Client App go with the app.
const STAYS = new Set([
  "CustomObjectTranslation",
  "ExtlClntAppGlobalOauthSettings",
  "ExtlClntAppOauthConfigurablePolicies",
  "ExtlClntAppOauthSettings"
]);
const PARTS = new Set(["CustomField", "Layout", "ListView", "ValidationRule"]);

/** A standard object cannot be deleted, and what belongs to a custom object goes with it. */
function isDeleted(type, name) {
  if (STAYS.has(type)) {
    return false;
  }
  if (type === "CustomObject") {
    return /__(c|mdt)$/.test(name);
  }
  return !(PARTS.has(type) && /^\w+__(c|mdt)[.-]/.test(name));
}

function destructive({ types, version }) {
  const sections = types
    .map(({ name, members }) => [
      name,
      members.filter((member) => isDeleted(name, member))
    ])
    .filter(([, members]) => members.length > 0)
    .map(
      ([name, members]) =>
        `<types>${members.map((member) => `<members>${member.replace(/\/$/, "")}</members>`).join("")}<name>${name}</name></types>`
    );
  return `${HEAD}${sections.join("")}<version>${version}</version></Package>`;
}

async function main() {
  const components = ComponentSet.fromSource(join(ROOT, "force-app"));
  const project = readFileSync(join(ROOT, "sfdx-project.json"), "utf8");
  components.sourceApiVersion = JSON.parse(project).sourceApiVersion;
  const manifest = (await components.getObject()).Package;
  const wanted = {
    "manifest/package.xml": await components.getPackageXml(),
    "destructive/package.xml": `${HEAD}<version>${manifest.version}</version></Package>`,
    "destructive/destructiveChanges.xml": destructive(manifest)
  };
  for (const [name, text] of Object.entries(wanted)) {
    const path = join(ROOT, name);
    const options = await prettier.resolveConfig(path);
    const formatted = await prettier.format(text, {
      ...options,
      filepath: path
    });
    if (!process.argv.includes("--check")) {
      writeFileSync(path, formatted);
    } else if (readFileSync(path, "utf8") !== formatted) {
      console.error(`${name} is not current: run "npm run manifest".`);
      process.exitCode = 1;
    }
  }
}

main();
