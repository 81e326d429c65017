// What runs in the pods of `credentials.pods.test.ts`: a new connection every 100 ms, with what the file holds then.
const { readFileSync } = require('node:fs')
const { Client } = require('pg')

const [, , host, port] = process.argv
const pod = process.env.HOSTNAME
const everyMs = 100

async function logIn() {
  const [user, password] = readFileSync('/vault/secrets/db', 'utf8').trim().split(':')
  const client = new Client({ host, port: Number(port), user, password, database: 'postgres' })
  try {
    await client.connect()
    await client.query('INSERT INTO logins (pod) VALUES ($1)', [pod])
  } catch (error) {
    process.stdout.write(`failed ${new Date().toISOString()} ${user} ${error.code}: ${error.message}\n`)
  } finally {
    await client.end().catch(() => undefined)
  }
}

process.on('SIGTERM', () => process.exit(0))
void (async () => {
  for (;;) {
    const next = Date.now() + everyMs
    await logIn()
    await new Promise(resolve => setTimeout(resolve, Math.max(0, next - Date.now())))
  }
})()
