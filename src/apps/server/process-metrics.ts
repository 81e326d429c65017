import type { Metrics } from '#ground/base/metrics.ts'
import type { BareValue } from '#ground/text/metrics.ts'

/** What the process itself takes, asked at each look. Names that Go has for what there isn't here are left out. */
export function addProcessGauges(metrics: Metrics): void {
  metrics.gauge('runtime.alloc_bytes', () => process.memoryUsage().heapUsed)
  metrics.gauge('runtime.sys_bytes', () => process.memoryUsage.rss())
}

/** As Prometheus' own clients name them. @param startedAt wall time, ms */
export function processValues(startedAt: number): readonly BareValue[] {
  const { user, system } = process.cpuUsage()
  return [
    { name: 'process_cpu_seconds_total', kind: 'counter', value: (user + system) / 1e6 },
    { name: 'process_resident_memory_bytes', kind: 'gauge', value: process.memoryUsage.rss() },
    { name: 'process_start_time_seconds', kind: 'gauge', value: startedAt / 1000 },
  ]
}
