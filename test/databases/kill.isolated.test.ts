import { killScenarios } from './kill-scenarios.ts'

killScenarios(7)
