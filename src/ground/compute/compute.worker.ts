import { serveTasks } from './serve.ts'
import { computeTasks } from './tasks.ts'

serveTasks(computeTasks)
