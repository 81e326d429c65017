import type { DatabaseDriver } from '../driver.ts'
import { mongodb } from './mongodb.ts'
import { mysql, mysqlLegacy } from './mysql.ts'
import { postgresql } from './postgresql.ts'
import { redis } from './redis.ts'

/** Every database that this server knows; what talks to one is loaded when a connection names its plugin. */
export const drivers: readonly DatabaseDriver[] = [postgresql, mysql, mysqlLegacy, redis, mongodb]
