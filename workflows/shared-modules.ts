import * as sha2 from '@noble/hashes/sha2.js';
import * as hashUtils from '@noble/hashes/utils.js';
import { z } from 'zod';
import * as backup from '../contracts/backup.ts';
import * as chain from '../contracts/chain.ts';
import * as costs from '../contracts/costs.ts';
import * as databaseSnapshot from '../contracts/database-snapshot.ts';
import * as drTest from '../contracts/dr-test.ts';
import * as duration from '../contracts/duration.ts';
import * as evidence from '../contracts/evidence.ts';
import * as gate from '../contracts/gate.ts';
import * as inputProblems from '../contracts/input-problems.ts';
import * as internalMessages from '../contracts/internal-messages.ts';
import * as ledger from '../contracts/ledger.ts';
import * as messages from '../contracts/messages.ts';
import * as notification from '../contracts/notification.ts';
import * as people from '../contracts/people.ts';
import * as planLines from '../contracts/plan-lines.ts';
import * as underWay from '../contracts/under-way.ts';
// The kernel and our runbooks, with all that they are made of.
import './backup/workflow.ts';
import './database-snapshot/workflow.ts';
import './dr-test/workflow.ts';
import './guardian/workflow.ts';
import './lock/workflow.ts';
import './manifest/workflow.ts';
import './notification/workflow.ts';
import './procedure/payload-converter.ts';
import './procedure/unmoved-by-queries.ts';

const contracts = { backup, chain, costs, databaseSnapshot, drTest, duration, evidence, gate, inputProblems, internalMessages, ledger, messages, notification, people, planLines, underWay };

/**
 * What all workflows of a worker share, the contract of each runbook included: bundles are made with the path of this file
 * in `preloadModules`. The SDK gives each workflow in memory modules of its own; zod and our schemas are more than a
 * megabyte, the kernel and our runbooks about a tenth of one. None of these may ever keep anything of one workflow.
 * (zod itself comes with the schemas; named here, it would bring its sixty languages.)
 */
export const shared = { sha2, hashUtils, ...contracts };

// What zod sets up with the first schema of a kind cannot be set once it is frozen.
z.object({});
// The SDK freezes what is shared, with all that it holds, but for what is frozen already. Schemas complete themselves when
// they are first used, always in the same way, and must be able to.
for (const contract of Object.values(contracts)) Object.freeze(contract);
