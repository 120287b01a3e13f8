const { defineConfig } = require("eslint/config");
const jestGlobals = {
  describe: "readonly",
  it: "readonly",
  expect: "readonly",
  jest: "readonly",
  afterEach: "readonly",
  beforeEach: "readonly"
};
const recommended = require("@salesforce/eslint-config-lwc/recommended");

module.exports = defineConfig([
  { ignores: ["node_modules/**", "coverage/**"] },
  { files: ["**/lwc/**/*.js"], extends: [recommended] },
  {
    files: ["**/lwc/**/__tests__/**/*.js"],
    languageOptions: {
      globals: { ...jestGlobals, process: "readonly", require: "readonly" }
    }
  }
]);
