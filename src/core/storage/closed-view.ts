import type { View } from '#backend/storage.ts'

const refuse = (): never => {
  throw new Error('this mount keeps nothing')
}

/** For a mount without storage of its own: `sys/`, which is there while sealed. */
export const closedView: View = {
  get: refuse,
  peek: refuse,
  list: refuse,
  update: refuse,
  commit: refuse,
  purge: refuse,
  intend: refuse,
}
