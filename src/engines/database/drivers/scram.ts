import { createHash, createHmac, pbkdf2 } from 'node:crypto'
import { promisify } from 'node:util'

const iterations = 4096
const derive = promisify(pbkdf2)

/**
 * A password in the form in which PostgreSQL keeps it, so that the statement that sets it doesn't hold it.
 * @param salt 16 bytes by chance
 * @source RFC 5803, RFC 7677; PostgreSQL src/common/scram-common.c
 */
export async function scramVerifier(password: string, salt: Uint8Array): Promise<string> {
  const salted = await derive(password.normalize('NFKC'), salt, iterations, 32, 'sha256')
  const hmac = (text: string): Buffer => createHmac('sha256', salted).update(text).digest()
  const stored = createHash('sha256').update(hmac('Client Key')).digest('base64')
  const server = hmac('Server Key').toString('base64')
  return `SCRAM-SHA-256$${iterations}:${Buffer.from(salt).toString('base64')}$${stored}:${server}`
}
