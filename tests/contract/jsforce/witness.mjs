// A session of jsforce against the fake Salesforce: prints one JSON object with what it saw.
import jsforce from "jsforce";

const [instanceUrl, accessToken, version] = process.argv.slice(2);
const conn = new jsforce.Connection({ instanceUrl, accessToken, version });
const seen = {};

seen.created = await conn.sobject("Account").create({ Name: "Harbor Lane Bakery" });
seen.read = (await conn.sobject("Account").retrieve(seen.created.id)).Name;
seen.updated = await conn.sobject("Account").update({ Id: seen.created.id, Phone: "555-0100" });
try {
  await conn.sobject("Account").create({ Name: "x", Nonsense__c: 1 });
} catch (error) {
  seen.refused = error.errorCode;
}

const order = (key) => ({ NetSuite_Key__c: key, Name: key });
seen.upserted = await conn.sobject("NetSuite_Order__c").upsert(order("k1"), "NetSuite_Key__c");
seen.upsertedMany = await conn
  .sobject("NetSuite_Order__c")
  .upsert([order("k1"), order("k2")], "NetSuite_Key__c");

const many = Array.from({ length: 350 }, (_, n) => ({ Name: `A${n}` }));
const results = await conn.sobject("Account").create(many, { allowRecursive: true });
seen.collection = results.filter((one) => one.success).length;
seen.partial = (await conn.sobject("Account").create([{ Name: "good" }, {}])).map((one) =>
  one.success ? "saved" : one.errors[0].statusCode,
);
seen.destroyed = (await conn.sobject("Account").destroy([results[0].id, results[1].id])).length;

const pages = await conn
  .query("SELECT Id, Name, Owner.Username FROM Account WHERE Name LIKE 'A%'", { autoFetch: true, maxFetch: 1000 });
seen.queried = pages.records.length;
let following = await conn.query("SELECT Id FROM Account");
seen.pages = 1;
while (!following.done) {
  following = await conn.queryMore(following.nextRecordsUrl);
  seen.pages += 1;
}

seen.described = (await conn.sobject("Opportunity").describe()).fields.some((one) => one.name === "Broker__c");
seen.limit = conn.limitInfo.apiUsage.limit;

conn.bulk2.pollInterval = 50;
conn.bulk2.pollTimeout = 20000;
const loaded = await conn.bulk2.loadAndWaitForResults({
  object: "NetSuite_Order__c",
  operation: "upsert",
  externalIdFieldName: "NetSuite_Key__c",
  input: [order("k2"), order("k3"), { NetSuite_Key__c: "k4", Name: "x".repeat(81) }],
});
seen.bulk = {
  good: loaded.successfulResults.map((one) => one.sf__Created),
  bad: loaded.failedResults.map((one) => one.sf__Error.split(":")[0]),
  left: loaded.unprocessedRecords.length,
};
const stream = await conn.bulk2.query("SELECT NetSuite_Key__c FROM NetSuite_Order__c");
seen.bulkQuery = (await stream.toArray()).length;

console.log(JSON.stringify(seen));
