// Holds protocol.ts against the test vectors: VECTORS names the file.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { check, confirm, create, present, supersede, type Keys, type Outcome, type Row, type Settings, type Theft, type Token } from "./protocol.js";

interface Step extends Keys, Token {
  at: number;
  do: "present" | "check" | "confirm" | "supersede" | "revoke" | "lag" | "fail over";
  grace?: number;
  outcome?: Outcome;
  theft?: Theft;
  accepted?: boolean;
  stored?: Row;
}

interface Sequence {
  name: string;
  settings: Settings;
  created: Row;
  steps: Step[];
}

const file = process.env["VECTORS"] ?? "../../docs/refresh-protocol/vectors.json";
const { sequences } = JSON.parse(readFileSync(file, "utf8")) as { sequences: Sequence[] };
assert.ok(sequences.length > 50);

for (const { name, settings, created, steps } of sequences) {
  test(name, () => {
    let row = create(0, settings);
    let standby = row;
    assert.deepEqual(row, created);
    for (const step of steps) {
      const s = { ...settings, grace: step.grace ?? settings.grace };
      const message = `at ${step.at}: ${step.do}`;
      switch (step.do) {
        case "present": {
          const d = present(row, step, step, step.at, s);
          row = d.row;
          assert.deepEqual([d.outcome, d.theft], [step.outcome, step.theft], message);
          break;
        }
        case "check":
          assert.equal(check(row, step, step.at, s), step.accepted, message);
          break;
        case "confirm":
          row = confirm(row, step, step.at);
          break;
        case "supersede":
          row = supersede(row);
          break;
        case "revoke":
          row = { ...row, revoked: true };
          break;
        case "lag":
          standby = row;
          break;
        case "fail over":
          row = { ...standby, revoked: standby.revoked || row.revoked };
          break;
        default:
          assert.fail(message);
      }
      if (step.stored !== undefined) assert.deepEqual(row, step.stored, message);
    }
  });
}
