// node audit.mjs URL KEY: prints each audit that does not hold and exits with
// their number, then how many there were.
import { serverAudits } from "graphql-http";

const [url, key] = process.argv.slice(2);
const fetchFn = (to, options = {}) =>
  fetch(to, { ...options, headers: { ...options.headers, authorization: `Bearer ${key}` } });

let failed = 0;
const audits = serverAudits({ url, fetchFn });
for (const audit of audits) {
  const result = await audit.fn();
  if (result.status !== "ok") {
    failed++;
    console.log(`${result.status} ${audit.id} ${audit.name}: ${result.reason}`);
  }
}
console.log(`${audits.length - failed} of ${audits.length} audits hold`);
process.exit(failed ? 1 : 0);
